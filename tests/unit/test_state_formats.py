"""State that a release before wrote is gone on with as if the present code had always been there.

The files are in `tests/fixtures/states/`; `python -m tests.fixtures.states COMMIT` writes one with that commit's code.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from runtime.chunked.errors import Misconfigured
from schemas.codec import decode_stored, encode
from schemas.definition import Rules
from schemas.identity import person_id, strong_in, weak_in
from schemas.journey import Journey
from schemas.person import FoldRecord
from schemas.resolve import Sighted, resolve
from schemas.topics import TOUCHPOINTS
from sinks.verify import plain
from tests.fixtures.company import ORDERS_AFTER, ORDERS_BEFORE, after, blocked
from tests.fixtures.states import FILES, load
from tests.fixtures.two_legs import SECRET, Settings, TwoLegs

STATES = sorted(FILES.glob("*.json.xz"))
LONG_AGO, NEVER = 1, 2**53
IDENTITY_KEYS = {b"h", b"H", b"n", b"a", b"l", b"k", b"b", b"e", b"c", b"v", b"m", b"d"}
STITCH_KEYS = {b"p", b"P", b"v", b"m"}
TOLD_BY = [("identity", kind) for kind in sorted(IDENTITY_KEYS - {b"d"})]  # d only refuses other settings
TOLD_BY += [("stitch", kind) for kind in sorted(STITCH_KEYS)]
Touchpoint = Mapping[str, Any]


def newest(sent: Iterable[Touchpoint]) -> list[Any]:
    """Of each event the highest revision; of equal ones the first sent."""
    found: dict[UUID, Any] = {}
    for one in sent:
        stored = decode_stored.decode(encode({**one, "address": ""}))
        known = found.get(stored.event_id)
        if known is None or known.revision < stored.revision:
            found[stored.event_id] = stored
    return list(found.values())


def whose(live: list[Any], settings: Settings, orders: Iterable[tuple[str, bool]]) -> tuple[dict[str, str], Any]:
    """Event → person, by the definition; and the definition's own answer."""
    kinds = settings.as_kinds()
    sighted = [
        Sighted(
            one.event_id.bytes,
            one.occurred_at,
            strong_in(one.identifiers, kinds),
            weak_in(one.identifiers, kinds),
            one.revision,
            -1 if one.sequence is None else one.sequence,
            one.retracted,
            one.source in kinds.shared_sources,
        )
        for one in live
    ]
    resolved = resolve(sighted, kinds, blocked(orders))
    return {event.hex(): person_id(owner, SECRET).hex for event, owner in resolved.owners.items()}, resolved


def journeys(live: list[Any], owners: Mapping[str, str], settings: Settings) -> dict[str, dict[str, Any]]:
    """Rows by id, by the plain fold; of people with too many touchpoints none."""
    definitions = settings.as_definitions()
    rules = Rules(definitions)
    people: dict[str, list[plain.Event]] = defaultdict(list)
    for one in live:
        if one.retracted:
            continue
        record = FoldRecord(
            one.occurred_at,
            one.channel,
            one.name,
            rules.of(one.channel, one.name, one.properties),
            -1 if one.sequence is None else one.sequence,
            one.value.amount if one.value else 0,
            one.value.currency if one.value else "",
            one.feedback.kind if one.feedback else "",
            -1 if one.feedback is None or one.feedback.score is None else one.feedback.score,
            (one.feedback.sentiment or "") if one.feedback else "",
        )
        people[owners[one.event_id.hex]].append((one.event_id.hex, record))
    return {
        row["journey_id"]: at_any_time(row)
        for person, events in people.items()
        if len(events) <= settings.max_touchpoints
        for row in plain.rows(person, events, definitions, LONG_AGO)
    }


def at_any_time(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a row says whenever it was written: the rest follows from `due_at`, which is there."""
    ended = sum(1 for at in row["recovered_at"] if at)
    said = {name: row[name] for name in row.keys() - {"version", "arrived_at", "is_deleted", "status"}}
    for name in ("drop_off_at", "drop_off_stage", "drop_off_step", "recovered_at"):
        said[name] = said[name][:ended]
    return said | {"completed": row["status"] == "completed"}


def shown(rows: Iterable[Journey]) -> dict[str, dict[str, Any]]:
    return {row.journey_id: at_any_time(msgspec.structs.asdict(row)) for row in rows if not row.is_deleted}


def keys(line: TwoLegs, leg: str) -> set[bytes]:
    return {key[:1] for state in line.states[leg] for key in state}


def check(line: TwoLegs, sent: Sequence[Touchpoint], orders: Iterable[tuple[str, bool]]) -> None:
    """People, identifiers, journeys and ledger are those of everything that was ever sent."""
    live = newest(sent)
    owners, resolved = whose(live, line.settings, orders)
    assert line.said.owners() == {event: [person] for event, person in owners.items()}
    for identifier, person in resolved.identities.items():
        row = line.said.identities[identifier]
        assert (row.person_id, row.shared) == (person_id(person, SECRET).hex, identifier in resolved.shared), identifier
    assert shown(line.said.journeys.values()) == journeys(live, owners, line.settings)
    decided = line.said.decided()
    assert sum(decided.values()) == sum(log.end for (topic, _), log in line.logs.items() if topic == TOUCHPOINTS.name)
    assert decided["stored"] == len(live)
    assert decided["rejected"] == line.said.dead_letters


def test_there_is_a_state_of_the_release_before() -> None:
    assert STATES


every_file = pytest.mark.parametrize("file", STATES, ids=lambda file: file.name.partition(".")[0])


@every_file
def test_the_state_is_gone_on_with(file: Path) -> None:
    line, sent = load(file)
    assert (keys(line, "identity"), keys(line, "stitch")) == (IDENTITY_KEYS, STITCH_KEYS), "it has some of everything"
    assert line.unread(), "messages of the release before are under way"
    live = [one for one in newest(sent) if not one.retracted]
    assert len(line.said.owners()) < len(live), "touchpoints wait for a name's answer"
    more = after(line, sent)
    check(line, [*sent, *more], [*ORDERS_BEFORE, *ORDERS_AFTER])


@every_file
def test_what_was_under_way_is_finished(file: Path) -> None:
    """Nothing but what the release before had left in the logs."""
    line, sent = load(file)
    line.run()
    check(line, sent, ORDERS_BEFORE)


@pytest.mark.parametrize(("leg", "kind"), TOLD_BY)
def test_every_kind_of_record_is_needed(leg: str, kind: bytes) -> None:
    """The files would notice if one of them were not read."""
    line, sent = load(STATES[-1])
    for state in line.states[leg]:
        for key in [key for key in state if key[:1] == kind]:
            del state[key]
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever a leg does without them
        check(line, [*sent, *after(line, sent)], [*ORDERS_BEFORE, *ORDERS_AFTER])


@every_file
def test_a_state_of_an_unknown_format_is_refused(file: Path) -> None:
    line, _ = load(file)
    for state in line.states["identity"]:
        state[b"d"] = b"\xff" + state[b"d"][1:]
    with pytest.raises(Misconfigured):
        line.run()
