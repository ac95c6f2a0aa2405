"""What came in → a touchpoint as it is stored, or the reason why not. Pure: no clock, no I/O; never raises for bad input.

`STEPS` is the whole rule, in order. HTTP, file import and tests go through it, so one input has one answer everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ingest.clock import in_zone, milliseconds, moment, occurred, skew
from ingest.erased import NOTHING, Erased
from ingest.read import Record, depth, read
from ingest.rejected import Rejected, is_kept
from ingest.source import Source
from ingest.validation import FIELDS, refuses_analytics, validated
from schemas.codec import StoredStruct, content_of, encode
from schemas.identity import DEFAULT_KINDS, Kinds, address, normalise
from schemas.touchpoint import MAX_DEPTH, MAX_TOUCHPOINT_BYTES

__all__ = ["Accepted", "Rejected", "accept", "accept_request"]


# Numbers may be longer in the topic than as they were sent: 1e15 is 1000000000000000.0 there.
MAX_STORED_BYTES = 2 * MAX_TOUCHPOINT_BYTES


class Accepted(NamedTuple):
    """The record of the `touchpoints` topic: its key (the address) and its value (a `StoredTouchpoint` as JSON)."""

    key: bytes
    value: bytes


@dataclass(slots=True)
class _Draft:
    """A touchpoint on its way through the steps; each fills in what it finds."""

    record: Record
    fields: Any  # what was read: still any JSON
    source: Source
    received_at: int
    skew: int
    kinds: Kinds
    erased: Erased
    touchpoint: Any = None  # TouchpointStruct
    identifiers: dict[str, str] = field(default_factory=dict)
    content: str = ""
    event_id: str = ""
    occurred_at: int = 0
    clock: str = "as_sent"


Step = Callable[[_Draft], Rejected | None]


def object_with_consent(draft: _Draft) -> Rejected | None:
    """First of all: what was refused consent goes nowhere, not even to the dead letters."""
    if not isinstance(draft.fields, dict):
        kind = type(draft.fields).__name__
        return Rejected("invalid", "", f"a touchpoint is a JSON object, this is a {kind}: send {{…}}")
    if "consent" in draft.fields and refuses_analytics(draft.fields["consent"]):
        return Rejected("no_consent", "consent.analytics", "the customer did not agree: not kept; do not send it")
    return None


def within_size(draft: _Draft) -> Rejected | None:
    if draft.record.size > MAX_TOUCHPOINT_BYTES:
        message = f"{draft.record.size} bytes are more than {MAX_TOUCHPOINT_BYTES}: leave out what is large"
        return Rejected("too_large", "", message)
    return None


def unknown_fields_kept(draft: _Draft) -> Rejected | None:
    """What the contract does not name moves into `properties`."""
    fields = draft.fields
    if fields.keys() <= FIELDS:
        return None
    properties = fields.get("properties", {})
    if not isinstance(properties, dict):
        return Rejected("invalid", "properties", "must be an object: write {} or leave it out")
    unknown = {name: value for name, value in fields.items() if name not in FIELDS}
    for name in unknown:
        if name in properties and properties[name] != unknown[name]:
            return Rejected(
                "invalid", name, f"not a field, and properties.{name} says otherwise: leave one of them out"
            )
    draft.fields = {name: value for name, value in fields.items() if name in FIELDS}
    draft.fields["properties"] = unknown | properties
    return None


def shallow(draft: _Draft) -> Rejected | None:
    if draft.record.depth > MAX_DEPTH and depth(draft.fields) > MAX_DEPTH + 1:  # the touchpoint itself is one level
        return Rejected("too_deep", "properties", f"nested deeper than {MAX_DEPTH}: flatten it or send it as text")
    return None


def zone_added(draft: _Draft) -> Rejected | None:
    """A time without zone means the source's own zone, where it declared one."""
    if draft.source.zone is not None:
        for name in ("occurred_at", "sent_at"):
            if name in draft.fields:
                draft.fields = draft.fields | {name: in_zone(draft.fields[name], draft.source.zone)}
    return None


def well_formed(draft: _Draft) -> Rejected | None:
    """Types, sizes, ranges and rules across fields, as `schemas.touchpoint.Touchpoint` says."""
    touchpoint = validated(draft.fields)
    if isinstance(touchpoint, Rejected):
        return touchpoint
    draft.touchpoint = touchpoint
    return None


def identified(draft: _Draft) -> Rejected | None:
    """Identifiers in their normal form and order; at least one is left."""
    given = draft.touchpoint.identifiers
    identifiers: dict[str, str] = {}
    unknown = len(given)
    for kind in draft.kinds.names:
        spelt = given.get(kind)
        if spelt is not None:
            unknown -= 1
            if value := normalise(kind, spelt, draft.kinds):
                identifiers[kind] = value
    if unknown:
        kind = next(kind for kind in given if kind not in draft.kinds.names)
        message = f"{kind!r} is not a configured kind of identifier: use one of {', '.join(draft.kinds.names)}"
        return Rejected("unknown_identifier", f"identifiers.{kind}", message)
    draft.identifiers = identifiers
    if not identifiers:
        return Rejected(
            "no_identifier", "identifiers", "nothing is left of any identifier: send one that names someone"
        )
    return None


def recognisable(draft: _Draft) -> Rejected | None:
    """`content` and `event_id`: functions of what the source sent, never of when it arrived."""
    touchpoint = draft.touchpoint
    sent, occurred_at = touchpoint.sent_at, touchpoint.occurred_at
    touchpoint.sent_at = None
    if occurred_at is not None:
        touchpoint.occurred_at = milliseconds(occurred_at)
    draft.content = content_of(touchpoint)
    draft.event_id = draft.source.event_id(touchpoint.event_id or f"content:{draft.content}")
    touchpoint.sent_at = None if sent is None else milliseconds(sent)
    return None


def timed(draft: _Draft) -> Rejected | None:
    """DESIGN §3, clocks."""
    found = occurred(draft.touchpoint.occurred_at, draft.received_at, draft.skew)
    if isinstance(found, Rejected):
        return found
    draft.occurred_at, draft.clock = found
    return None


def not_erased(draft: _Draft) -> Rejected | None:
    """Whoever was erased stays erased, though their touchpoints come late or again."""
    return draft.erased.refuses(draft.event_id, draft.identifiers, draft.occurred_at, draft.kinds)


STEPS: tuple[Step, ...] = (
    object_with_consent,
    within_size,
    unknown_fields_kept,
    shallow,
    zone_added,
    well_formed,
    identified,
    recognisable,
    timed,
    not_erased,
)


def accept(
    raw: bytes,
    source: Source,
    received_at: int,
    sent: int | None = None,
    kinds: Kinds = DEFAULT_KINDS,
    erased: Erased = NOTHING,
) -> Accepted | Rejected:
    """One touchpoint. Times in ms UTC; `sent` is when its request was sent, if the client said so."""
    record = read(raw)
    return record if isinstance(record, Rejected) else accept_record(record, source, received_at, sent, kinds, erased)


def accept_request(
    items: Iterable[bytes],
    source: Source,
    received_at: int,
    kinds: Kinds = DEFAULT_KINDS,
    erased: Erased = NOTHING,
) -> list[Accepted | Rejected]:
    """The items of one request, in its order. The first item that says when it was sent says it for all of them."""
    records = [read(item) for item in items]
    times = (moment(record.content, "sent_at", source.zone) for record in records if isinstance(record, Record))
    sent = next((time for time in times if time is not None), None)
    return [
        record if isinstance(record, Rejected) else accept_record(record, source, received_at, sent, kinds, erased)
        for record in records
    ]


def accept_record(
    record: Record,
    source: Source,
    received_at: int,
    sent: int | None = None,
    kinds: Kinds = DEFAULT_KINDS,
    erased: Erased = NOTHING,
) -> Accepted | Rejected:
    """As `accept`, for what was read already."""
    draft = _Draft(record, record.content, source, received_at, skew(sent, received_at), kinds, erased)
    for step in STEPS:
        rejected = step(draft)
        if rejected is not None:
            if erased and is_kept(rejected.reason):
                found = erased.recognises(record.content, source, received_at, draft.skew, kinds)
                return found or rejected
            return rejected
    return _stored(draft)


def _stored(draft: _Draft) -> Accepted | Rejected:
    touchpoint = draft.touchpoint
    key = address(draft.identifiers, draft.event_id, touchpoint.revision, draft.kinds)
    stored = StoredStruct(
        event_id=draft.event_id,
        source=draft.source.name,
        address=key,
        identifiers=draft.identifiers,
        channel=touchpoint.channel,
        name=touchpoint.name,
        occurred_at=draft.occurred_at,
        received_at=draft.received_at,
        content=draft.content,
        sent_at=touchpoint.sent_at,
        source_event_id=touchpoint.event_id,
        clock=draft.clock,
        sequence=touchpoint.sequence,
        stream=touchpoint.stream,
        revision=touchpoint.revision,
        retracted=touchpoint.retracted,
        context=touchpoint.context,
        value=touchpoint.value,
        feedback=touchpoint.feedback,
        consent=touchpoint.consent,
        properties=touchpoint.properties,
    )
    value = encode(stored)
    if len(value) > MAX_STORED_BYTES:
        return Rejected("too_large", "", "its numbers, written out, are too large: send them as text")
    return Accepted(key.encode(), value)
