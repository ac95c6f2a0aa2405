"""What a line must show for the touchpoints that were sent to it, computed from them alone, in the plainest way.

Person: by the definition, `schemas/resolve.py`. Event: its highest revision; of equal ones the first sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from ingest.accept import Accepted, accept
from ingest.source import Source
from processors.settings import WorkerSettings
from schemas.codec import decode_stored
from schemas.definition import Definition, Rules
from schemas.identity import DEFAULT_KINDS, Kinds, person_id, strong_in, weak_in
from schemas.journey import journey_id
from schemas.person import FoldRecord
from schemas.resolve import Sighted, resolve
from tests.line import Line
from tests.oracle import Event, journeys, standing

SECRET = WorkerSettings().secret.get_secret_value().encode()


def _ms(column: str) -> str:
    return f"arrayMap(at -> toUnixTimestamp64Milli(at), {column})"


# What is compared of a row, and how ClickHouse says it in the oracle's terms.
COLUMNS = {
    "person_id": "lower(replaceAll(toString(person_id), '-', ''))",
    "status": "status",
    "started_at": "toUnixTimestamp64Milli(started_at)",
    "last_at": "toUnixTimestamp64Milli(last_at)",
    "completed_at": "ifNull(toUnixTimestamp64Milli(completed_at), 0)",
    "furthest_stage": "furthest_stage",
    "stages": "arraySum(arrayMap(rank -> bitShiftLeft(toUInt64(1), rank), stages))",
    "touchpoints": "touchpoints",
    "entry_channel": "entry_channel",
    "value": "value",
    "drop_off_at": _ms("drop_off_at"),
    "drop_off_stage": "drop_off_stage",
    "drop_off_step": "drop_off_step",
    "recovered_at": _ms("recovered_at"),
    "feedback_kind": "feedback_kind",
    "feedback_score": "feedback_score",
    "path_time": _ms("path_time"),
    "path_channel": "path_channel",
    "path_touchpoint": "path_touchpoint",
    "path_stage": "path_stage",
}


def stored(sent: Iterable[bytes], source: str, received_at: int) -> dict[str, Any]:
    """Event id → the stored touchpoint that counts, of those that are accepted, in the order of sending."""
    newest: dict[str, Any] = {}
    for raw in sent:
        accepted = accept(raw, Source(source), received_at)
        if isinstance(accepted, Accepted):
            touchpoint = decode_stored.decode(accepted.value)
            known = newest.get(str(touchpoint.event_id))
            if known is None or known.revision < touchpoint.revision:
                newest[str(touchpoint.event_id)] = touchpoint
    return {event: touchpoint for event, touchpoint in newest.items() if not touchpoint.retracted}


def owners(touchpoints: Mapping[str, Any], kinds: Kinds = DEFAULT_KINDS) -> dict[str, str]:
    """Event id → the identifier that names the person whose it is."""
    sighted = [
        Sighted(
            t.event_id.bytes,
            t.occurred_at,
            strong_in(t.identifiers, kinds),
            weak_in(t.identifiers, kinds),
            sequence=-1 if t.sequence is None else t.sequence,
            shared=t.source in kinds.shared_sources,
        )
        for t in touchpoints.values()
    ]
    return {str(UUID(bytes=event)): owner for event, owner in resolve(sighted, kinds).owners.items()}


def people(touchpoints: Mapping[str, Any], rules: Rules) -> dict[str, list[Event]]:
    """Person id → their touchpoints in journey order, as the stitch leg gets them."""
    found: dict[str, list[Event]] = {}
    whose = owners(touchpoints)
    for t in touchpoints.values():
        record = FoldRecord(
            at=t.occurred_at,
            channel=t.channel,
            name=t.name,
            rules=rules.of(t.channel, t.name, t.properties),
            sequence=-1 if t.sequence is None else t.sequence,
            amount=t.value.amount if t.value else 0,
            currency=t.value.currency if t.value else "",
            feedback=t.feedback.kind if t.feedback else "",
            score=-1 if t.feedback is None or t.feedback.score is None else t.feedback.score,
            sentiment=(t.feedback.sentiment or "") if t.feedback else "",
        )
        person = person_id(whose[str(t.event_id)], SECRET).hex
        found.setdefault(person, []).append((t.event_id.hex, record))
    for events in found.values():
        events.sort(key=lambda e: (e[1].at, e[1].sequence, bytes.fromhex(e[0])))
    return found


def journey_rows(people: Mapping[str, list[Event]], definition: Definition, as_of: int) -> dict[str, dict[str, Any]]:
    """Journey id → the figures that its row must show at `as_of`, ms UTC."""
    rows = {}
    for person, events in people.items():
        for journey in journeys(events, 0, definition):
            event, first = journey[0]
            ident = journey_id(bytes.fromhex(person), definition.name, bytes.fromhex(event), first.at).hex()
            rows[ident] = _comparable({"person_id": person, **standing(journey, 0, definition, as_of)})
    return rows


def journey_rows_in(line: Line) -> dict[str, dict[str, Any]]:
    """The same of the rows in ClickHouse, as of now."""
    said = ", ".join(COLUMNS.values())
    found = {}
    for ident, text in line.rows(f"SELECT journey_id, toJSONString(({said})) FROM v_journeys"):
        found[ident.hex] = _comparable(dict(zip(COLUMNS, json.loads(text), strict=True)))
    return found


def _comparable(row: Mapping[str, Any]) -> dict[str, Any]:
    """Without a silence that has not ended: a row has it only if it was written after the deadline; the status tells it."""
    ended = sum(1 for at in row["recovered_at"] if at)
    cut = ("drop_off_at", "drop_off_stage", "drop_off_step", "recovered_at")
    return {name: value[:ended] if name in cut else value for name, value in row.items()}


def differences(found: Mapping[str, Mapping[str, Any]], wanted: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What differs between two sets of rows, field by field; empty when nothing does."""
    said = [f"{ident}: should not be there" for ident in found.keys() - wanted.keys()]
    said += [f"{ident}: missing" for ident in wanted.keys() - found.keys()]
    for ident in found.keys() & wanted.keys():
        for name, value in wanted[ident].items():
            if found[ident][name] != value:
                said.append(f"{ident}: {name} is {found[ident][name]!r}, not {value!r}")
    return sorted(said)
