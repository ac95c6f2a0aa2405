"""Touchpoints as ClickHouse has them → records of the topic `touchpoints`, as the collector wrote them.

An event has one record: its newest revision, retracted or not. Ids are walked through in the order of the table's key, which
begins with their second half; of that the two highest bits are the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from sys import intern
from typing import Any, NamedTuple

import msgspec

from schemas.codec import StoredStruct, TouchpointStruct, content_of, encode, struct_of
from schemas.identity import Kinds, address
from schemas.touchpoint import Consent, Context, Feedback, StoredTouchpoint, Touchpoint, Value
from sinks.queries import query
from sinks.reader import Reader

FIRST, END = 0x8000_0000, 0xC000_0000  # of what `records` is asked for: the third quarter of an id, as a number
UNKNOWN = "0" * 32  # content of a row that a release before wrote
_CONTEXT = tuple(Context.model_fields)
_Context, _Value, _Feedback, _Consent = map(struct_of, (Context, Value, Feedback, Consent))
_SENT = tuple(Touchpoint.model_fields.keys() & StoredTouchpoint.model_fields.keys() - {"event_id", "sent_at"})


class Stored(NamedTuple):
    """A record: its key, its value, and when it was appended to the log first (ms UTC)."""

    key: bytes
    value: bytes
    appended: int


def count(reader: Reader) -> int:
    """Rows of the table, superseded ones included. Raises the driver's errors."""
    return int(reader.ask("SELECT count() FROM touchpoints").rows[0][0])


def records(
    reader: Reader, kinds: Kinds, low: int, high: int, wanted: Callable[[str, int, int], bool]
) -> Iterator[Stored]:
    """Those with ids from `low` to before `high`, in the order of ids.

    `wanted` is asked with the address, append time (ms UTC) and offset of each row, the newest of an event first, until it says
    yes. The key is that of today's identity settings. Raises the driver's errors.
    """
    bounds = {"low": _bound(low), "high": _bound(high)}
    for _, rows in groupby(reader.stream(query("stored_touchpoints"), bounds), key=lambda row: row[0]):
        for row in rows:
            event, was, identifiers, revision = row[0], row[2], row[3], row[14]
            appended, offset = row[-2:]
            if wanted(was, appended, offset):
                yield Stored(address(identifiers, event, revision, kinds).encode(), _value(row[:-2]), appended)
                break


def _bound(place: int) -> str:
    """An id that begins there; whatever is below FIRST or above END belongs to the first or last one."""
    if place <= FIRST:
        return "00000000-0000-0000-0000-000000000000"
    if place >= END:
        return "ffffffff-ffff-ffff-ffff-ffffffffffff"
    return f"00000000-0000-0000-{place >> 16:04x}-{place & 0xFFFF:04x}00000000"


def _value(row: Sequence[Any]) -> bytes:
    (
        event, source, stored_at, identifiers, channel, name, occurred_at, received_at, content, sent_at, own_id, clock,
        sequence, stream, revision, retracted, context, amount, currency, kind, score, sentiment, text, about, analytics,
        marketing, properties,
    ) = row  # fmt: skip
    stored = StoredStruct(
        event_id=event,
        source=source,
        address=stored_at,
        identifiers=identifiers,
        channel=channel,
        name=name,
        occurred_at=occurred_at,
        received_at=received_at,
        content=content,
        sent_at=sent_at,
        source_event_id=own_id or None,
        clock=intern(clock),  # msgspec leaves out a default only if it is the same object
        sequence=sequence,
        stream=stream or None,
        revision=revision,
        retracted=bool(retracted),
        context=_Context(**{of: said or None for of, said in zip(_CONTEXT, context, strict=True)})
        if any(context)
        else None,
        value=_Value(amount=amount, currency=currency) if currency else None,
        feedback=_Feedback(kind=kind, score=score, sentiment=sentiment or None, text=text or None, about=about or None)
        if kind
        else None,
        consent=None if analytics is None and marketing is None else _Consent(analytics=analytics, marketing=marketing),
        properties=msgspec.Raw(properties.encode()) if properties not in ("", "{}") else {},
    )
    if content == UNKNOWN:
        stored.content = _content(stored)
    return encode(stored)


def _content(stored: Any) -> str:
    """What the hash was, unless the source wrote identifiers otherwise or its clock was corrected: then a resend of this
    touchpoint will be taken for a conflict, and not stand either."""
    sent = TouchpointStruct(**{name: getattr(stored, name) for name in _SENT}, event_id=stored.source_event_id)
    if stored.clock == "received":
        sent.occurred_at = None
    sent.properties = msgspec.json.decode(encode(stored.properties))
    return content_of(sent)
