"""Resizing: the state of two partitions moved to five goes on as if it had always been there."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.dead_letters import DeadLetters
from processors.rehash import identity_moves, stitch_moves
from processors.stitching import StitchPartition
from runtime.chunked.leg import Chunk
from runtime.chunked.slices import Gathered
from runtime.kafka import partition_of
from schemas.codec import encode
from schemas.identity import DEFAULT_KINDS, Kinds, person_id
from schemas.journey import Journey
from schemas.person import Assigned, FoldRecord, ReadTo
from schemas.resolve import NOTHING_ERASED
from tests.identity_world import SECRET, Sent, World, expected
from tests.unit.test_erasure import erasing, person_of, plainly
from tests.unit.test_identity_stream import Histories, configurations, histories
from tests.unit.test_stitching import DEFINITIONS, NUMBERS, T0, records

State = dict[bytes, bytes | None]
OLD, NEW = 2, 5
PEOPLE = [f"{n * 104729:032x}" for n in range(1, 9)]


def stitch(number: int, partitions: int) -> StitchPartition:
    letters = DeadLetters("dead_letters", partitions, "stitch")
    return StitchPartition(
        number,
        DEFINITIONS,
        generation=1,
        partitions=partitions,
        max_touchpoints=50,
        journeys="journeys",
        dead_letters=letters,
    )


def feed(
    partitions: dict[int, StitchPartition], logs: dict[int, State], messages: list[Assigned], rows: dict[str, Journey]
) -> None:
    for message in messages:
        number = partition_of(message.person_id.encode(), len(partitions))
        partitions[number].take(Chunk("people", number, [0], [T0], [None], [encode(message)]))
    for number, partition in partitions.items():
        partition.tick(T0 + 10_000, {})
        state, out = partition.collect(T0)
        logs[number].update(state)
        for record in out:
            if record.topic == "outcomes":
                continue
            row = msgspec.json.decode(record.value or b"", type=Journey)
            if row.journey_id in rows:
                assert row.version > rows[row.journey_id].version
            rows[row.journey_id] = row


def content(rows: dict[str, Journey]) -> dict[str, dict[str, Any]]:
    without = {"version", "arrived_at"}
    return {
        i: {k: v for k, v in msgspec.structs.asdict(r).items() if k not in without}
        for i, r in rows.items()
        if not r.is_deleted
    }


def gathered(logs: dict[int, State]) -> list[Gathered]:
    states = [Gathered() for _ in range(NEW)]
    for number, log in logs.items():
        for key, value in log.items():
            states[number].put(key, value)
    return states


def moved(logs: dict[int, State], stop_after: int) -> None:
    """Apply the moves, breaking off once after some of them."""
    for limit in (stop_after, 10**9):
        for n, move in enumerate(stitch_moves(gathered(logs), NEW)):
            if n >= limit:
                break
            logs[move.target].update(move.written)
            logs[move.source].update(move.removed)


messages = st.lists(
    st.builds(
        lambda person, n, record: Assigned(person, f"{n:032x}", 0, 1, T0, record),
        st.sampled_from(PEOPLE),
        st.integers(0, 2**64),
        records(),
    ),
    max_size=14,
    unique_by=lambda m: m.event_id,
)


@settings(max_examples=80, deadline=None)
@given(messages, messages, st.integers(0, 30))
def test_people_go_on_in_their_new_partitions(first: list[Assigned], second: list[Assigned], stop_after: int) -> None:
    second = [m for m in second if m.event_id not in {n.event_id for n in first}]
    expected: dict[str, Journey] = {}
    feed({n: stitch(n, OLD) for n in range(OLD)}, {n: {} for n in range(OLD)}, first + second, expected)

    rows: dict[str, Journey] = {}
    logs: dict[int, State] = {n: {} for n in range(NEW)}
    feed({n: stitch(n, OLD) for n in range(OLD)}, logs, first, rows)
    moved(logs, stop_after)
    partitions = {n: stitch(n, NEW) for n in range(NEW)}
    for number, partition in partitions.items():
        partition.restore(list(logs[number].items()))
    feed(partitions, logs, second, rows)
    assert content(rows) == content(expected)
    for number, log in logs.items():
        assert all(
            partition_of(k[1:].hex().encode(), NEW) == number for k, v in log.items() if k[:1] == b"p" and v is not None
        )


def test_as_of_does_not_go_back() -> None:
    logs: dict[int, State] = {n: {} for n in range(NEW)}
    for number in range(OLD):
        partition = stitch(number, OLD)
        said = [encode(ReadTo(p, T0 + 100 * p + number)) for p in range(OLD)]
        partition.take(Chunk("people", number, [0, 1], [T0] * 2, [None] * 2, list(said)))
        logs[number].update(partition.collect(T0)[0])
    moved(logs, 0)
    for number in range(NEW):
        partition = stitch(number, NEW)
        partition.restore(list(logs[number].items()))
        partition.tick(T0, {})
        assert partition.as_of == T0


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories(), histories(), configurations(), st.integers(0, 2**32))
def test_identity_goes_on_after_it_was_moved(before: Histories, after: Histories, kinds: Kinds, seed: int) -> None:
    """What came before and after the resize is resolved as if there had always been as many partitions."""
    _goes_on(before, after[0], kinds, seed)


def test_names_that_nobody_followed_any_more_find_each_other_after_the_resize() -> None:
    def pairs(event: int, revision: int, device: bool, retracted: bool = False) -> list[Sent]:
        return [
            Sent(
                event + n,
                10**12,
                (*((("anonymous_id", str(n)),) if device else ()), ("customer_id", str(n)), ("email", str(n))),
                revision,
                retracted=retracted,
            )
            for n in range(12)
        ]

    taken_back = [*pairs(1, 0, device=True), *pairs(1, 1, device=True, retracted=True)]
    _goes_on((taken_back, []), pairs(1, 0, device=False), DEFAULT_KINDS, seed=0)


def _goes_on(before: Histories, after: Sequence[Sent], kinds: Kinds, seed: int) -> None:
    sent, orders = before
    more = [replace(one, event=one.event + 100) for one in after]
    world = World(kinds, seed, partitions=OLD, kafka=True)
    world.send(sent)
    for identifier, block in orders:
        world.run()
        world.order(identifier, block)
    world.run()
    known = [one.sighted(kinds) for one in sent]
    found = person_of(known, kinds, random.Random(seed), NOTHING_ERASED) if seed % 2 else None
    erases = [erasing(known, kinds, *found, 10**12 + seed % 12, NOTHING_ERASED, 0)] if found else []
    for order in erases:
        world.erase(order)
        world.run()
    states = [Gathered() for _ in range(NEW)]
    for number, state in enumerate(world.states):
        for key, value in state.items():
            states[number].put(key, value)
    larger = World(kinds, seed, partitions=NEW, kafka=True)
    larger.states = [dict(state) for state in world.states] + [{} for _ in range(NEW - OLD)]
    larger.people, larger.identities = world.people, world.identities
    for move in identity_moves(states, NEW):
        for key, written in move.written.items():
            assert written is not None
            larger.states[move.target][key] = written
        for key in move.removed:
            del larger.states[move.source][key]
    larger.send(more)
    larger.run()
    blocked = {identifier for identifier, block in dict(orders).items() if block}
    owners, resolved = expected([*sent, *more], kinds, blocked, plainly(erases))
    assert larger.owners() == owners
    for identifier, person in resolved.identities.items():
        assert larger.identities[identifier].person_id == person_id(person, SECRET).hex


def test_names_survive_in_the_new_vocabulary() -> None:
    assert NUMBERS["look"]
    logs: dict[int, State] = {n: {} for n in range(NEW)}
    rows: dict[str, Journey] = {}
    record = FoldRecord(T0, "web", "a-name", NUMBERS["look"], amount=5, currency="EUR", feedback="nps", score=3)
    feed(
        {n: stitch(n, OLD) for n in range(OLD)},
        logs,
        [Assigned(p, f"{i:032x}", 0, 1, T0, record) for i, p in enumerate(PEOPLE)],
        rows,
    )
    moved(logs, 3)
    assert all(row.path_touchpoint == ["a-name"] for row in rows.values())
    again: dict[str, Journey] = {}
    partitions = {n: stitch(n, NEW) for n in range(NEW)}
    for number, partition in partitions.items():
        partition.restore(list(logs[number].items()))
    later = msgspec.structs.replace(record, at=T0 + 1000, name="b")
    feed(partitions, logs, [Assigned(p, f"{i + 99:032x}", 0, 1, T0, later) for i, p in enumerate(PEOPLE)], again)
    assert {tuple(row.path_touchpoint) for row in again.values()} == {("a-name", "b")}
    assert {row.feedback_score[0] for row in again.values()} == {3}
