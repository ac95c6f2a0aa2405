"""The horizon: who was silent for so long leaves the state, journeys stand as they were, and what comes too late is said to be.

The oracle keeps plain dictionaries and folds them with the plain fold; it knows the rule and nothing of packed state, slices,
calendars, transactions or restarts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors import deadlines, horizon, packing
from processors.dead_letters import DeadLetters
from processors.horizon import HorizonTooShort
from processors.rehash import stitch_moves
from processors.stitching import FormatUnknown, StitchPartition
from runtime.chunked.slices import SLICE, Gathered
from schemas.codec import encode
from schemas.journey import Journey
from schemas.outcome import Outcome
from schemas.person import Assigned, FoldRecord, ReadTo
from sinks.verify import plain
from sinks.verify.compare import comparable
from tests.unit.test_outcomes import live, look
from tests.unit.test_stitching import (
    DEFINITIONS,
    EVENTS,
    GRACE,
    HOUR,
    NUMBERS,
    PEOPLE,
    T0,
    Line,
    chunk,
    records,
)

LONGEST = 30 * HOUR
HORIZON = 31 * HOUR
FAR = T0 + 5_000 * HOUR
Said = Assigned | ReadTo


class Person:
    """What is known of somebody: touchpoints by event, each at its highest version, since they left last."""

    def __init__(self) -> None:
        self.said: dict[str, Assigned] = {}
        self.news = 0
        self.closed = -1

    def events(self) -> list[tuple[str, FoldRecord]]:
        return [(event, said.record) for event, said in self.said.items() if said.record is not None]

    def leaves(self, as_of: int) -> bool:
        last = max([record.at for _, record in self.events()], default=self.closed)
        return bool(self.said) and max(self.news, last) + HORIZON < as_of


class Oracle:
    """The contract, word by word, over the messages of a log."""

    def __init__(self, messages: Iterable[Said], most: int) -> None:
        self.most = most
        self.people = {person: Person() for person in PEOPLE}
        self.rows: list[dict[str, Any]] = []
        self.outcomes: list[dict[str, Any]] = []
        self.late: dict[tuple[str, str], tuple[int, int, int, int]] = {}  # version, closed_at, at
        self.left = 0
        as_of = passed = waits = 0
        for message in messages:
            if isinstance(message, ReadTo):
                if message.at > as_of:
                    passed, waits = deadlines.passed(passed or as_of, waits, as_of, message.at, GRACE)
                    as_of = message.at
                continue
            person = self.people[message.person_id]
            if person.leaves(passed):
                self._leave(message.person_id)
            self._take(person, message)
        self.passed = passed
        for ident in PEOPLE:
            self._fold(ident)

    def _take(self, person: Person, message: Assigned) -> None:
        known = person.said.get(message.event_id)
        if known is not None and (known.revision, known.move) >= (message.revision, message.move):
            return
        record, kept = message.record, message
        was_live = known is not None and known.record is not None
        if (record is None and person.closed >= 0 and not was_live) or (record and record.at <= person.closed):
            version = message.revision, message.move
            place = message.person_id, message.event_id
            if self.late.get(place, (0, 0))[:2] <= version:
                self.late[place] = (*version, person.closed, record.at if record else 0)
            if record is not None and known is None:
                return
            kept = msgspec.structs.replace(message, record=None)
        person.said[message.event_id] = kept
        person.news = max(person.news, message.arrived)

    def _leave(self, ident: str) -> None:
        person = self.people[ident]
        self.left += 1
        self._fold(ident)
        times = [record.at for _, record in person.events()]
        person.closed = max(times) + LONGEST if times else person.closed
        person.said.clear()

    def _fold(self, ident: str) -> None:
        events = self.people[ident].events()
        if len(events) <= self.most:
            self.rows += plain.rows(ident, events, DEFINITIONS, FAR)
            self.outcomes += plain.outcomes(ident, events, DEFINITIONS, FAR)
        for row in self.outcomes:
            row.pop("lasts", None)


class Leaping(Line):
    """Where the watermark leaps by days, an outcome may be taken back and told again in one transaction. Whether it had been
    told as history is not known any more then, so it is written once more, as it stands."""

    def told(self, row: Outcome) -> None:
        known = self.outcomes.get(row.outcome_id)
        if known is None or msgspec.structs.replace(known, version=row.version) != row:
            super().told(row)


@st.composite
def logs(draw: st.DrawFn) -> list[Said]:
    """What is said of a few people, in the order of arrival, with a watermark that never passes what has yet to come. A home
    says it with versions that rise; what it said last may come again."""
    clock, said = T0, dict[tuple[str, str], Assigned]()
    log: list[Said] = [ReadTo(0, T0 - 1)]
    for _ in range(draw(st.integers(1, 16))):
        gap = draw(st.sampled_from([0, 1, 1_000, HOUR, HOUR, 7 * HOUR, 31 * HOUR, 33 * HOUR, 70 * HOUR]))
        clock += gap
        if gap and draw(st.integers(0, 3)):
            log.append(ReadTo(0, clock - 1))
            if draw(st.integers(0, 3)):  # and what waits after an outage waits no longer
                clock += GRACE + 1
                log.append(ReadTo(0, clock - 1))
        place = draw(st.sampled_from(PEOPLE)), draw(st.sampled_from(EVENTS))
        known = said.get(place)
        if known is not None and draw(st.integers(0, 5)) == 0:
            log.append(known)
            continue
        revision, move = (known.revision, known.move) if known else (0, 0)
        version = draw(st.sampled_from([(revision, move + 1), (revision + 1, 0), (revision + 1, 1)]))
        record = draw(st.one_of(records(), records(), records(), st.none()))
        if record is not None:  # mostly just now, at times long ago or ahead
            ago = draw(st.sampled_from([0, 0, 0, HOUR, 20 * HOUR, 29 * HOUR, 60 * HOUR, 200 * HOUR, -40 * HOUR]))
            record = msgspec.structs.replace(record, at=clock - ago)
        said[place] = Assigned(*place, *version, clock, record)
        log.append(said[place])
    return log


def finish(line: Line, passed: int) -> None:
    """Let every deadline pass and nobody leave later than they must."""
    line.run([ReadTo(0, FAR), ReadTo(0, FAR + GRACE), ReadTo(0, FAR + GRACE + 1)], crashes=False)
    while line.partition.pending():
        line.commit()


def shown(rows: Iterable[Journey]) -> list[dict[str, Any]]:
    return standing({**msgspec.structs.asdict(row)} for row in rows if not row.is_deleted)


def standing(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Journeys as they stand in the end, whenever their rows were written."""
    found = [comparable(row, FAR) for row in rows]
    for row in found:
        for name in {"version", "arrived_at", "is_deleted"} & row.keys():
            del row[name]
    return sorted(found, key=lambda row: str(row["journey_id"]))


def newest(late: dict[tuple[str, str], tuple[int, int, int, int]], log: Iterable[Said]) -> object:
    """What is late and of what nothing newer was said since; that may be late no more."""
    last: dict[tuple[str, str], tuple[int, int]] = {}
    for said in log:
        if isinstance(said, Assigned):
            place, version = (said.person_id, said.event_id), (said.revision, said.move)
            last[place] = max(version, last.get(place, version))
    return {place: one for place, one in late.items() if one[:2] == last[place]}


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(logs(), st.integers(0, 2**32), st.sampled_from([3, 100]), st.sampled_from([1, 2_000]))
def test_what_stands_is_what_a_batch_with_the_same_rule_says(
    log: list[Said], seed: int, most: int, at_once: int
) -> None:
    """Whatever is killed, however chunks are cut, however few may leave in one transaction."""
    oracle = Oracle(log, most)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("processors.stitching.AT_ONCE", at_once)
        line = Leaping(seed, most, HORIZON)
        line.run(list(log))
        finish(line, oracle.passed)
    told = {place: (one.revision, one.move, one.closed_at, one.at) for place, one in line.late.items()}
    assert newest(told, log) == newest(oracle.late, log)
    assert shown(line.rows.values()) == standing(oracle.rows)
    assert live(line.outcomes, FAR) == sorted(oracle.outcomes, key=lambda row: str(row["outcome_id"]))
    for value in line.partition._people.values():
        assert len(value) == 1 + packing.SIZE + line.partition._head.size, "all that is left of anybody is a fence"
    assert [key for key, kept in line.log.items() if kept is not None and key[:1] == b"P"] == []


def test_the_examples_reach_what_they_are_for() -> None:
    """Some leave, some twice, some come late; else the property above would hold of nothing."""
    left, late, rows = 0, 0, 0
    found: list[list[Said]] = []

    @settings(max_examples=100, deadline=None, database=None, derandomize=True)
    @given(logs())
    def collect(log: list[Said]) -> None:
        found.append(log)

    collect()
    for log in found:
        oracle = Oracle(log, 100)
        left, late, rows = left + oracle.left, late + len(oracle.late), rows + len(oracle.rows)
    assert min(left, late, rows) > 30


def past(line: Line, hours: int) -> None:
    """Everything up to then has been read, and whoever leaves has left."""
    at = T0 + hours * HOUR
    line.run([ReadTo(0, at), ReadTo(0, at + GRACE), ReadTo(0, at + GRACE + 1)], crashes=False)
    while line.partition.pending():
        line.commit()


def kept(line: Line, kind: bytes) -> dict[bytes, bytes]:
    return {key: value for key, value in line.log.items() if key[:1] == kind and value is not None}


def test_a_person_larger_than_a_slice_leaves_nothing_but_a_fence() -> None:
    line = Line(1, 20_000, HORIZON)
    looks = FoldRecord(T0, "web", "look", NUMBERS["look"])
    count = 2 * SLICE // packing.SIZE
    said = [
        encode(Assigned(PEOPLE[0], f"{n + 1:032x}", 0, 1, T0 + n, msgspec.structs.replace(looks, at=T0 + n)))
        for n in range(count)
    ]
    for at in range(0, count, 500):
        line.partition.take(chunk(said[at : at + 500]))
        line.commit()
    assert len(kept(line, b"P")) == 2
    past(line, 40)
    assert kept(line, b"P") == {}
    (value,) = kept(line, b"p").values()
    assert len(value) < 100
    line.restart()
    line.run([look(8, T0 + HOUR, T0 + 41 * HOUR), look(7, T0 + 90 * HOUR)], crashes=False)
    assert set(line.late) == {(PEOPLE[0], EVENTS[8])}
    starts = sorted((row.started_at - T0) // HOUR for row in line.rows.values() if row.definition == "purchase")
    assert starts == [0, 90], "what occurred after it is folded as ever"


def test_what_occurred_up_to_closed_at_is_late_and_what_came_after_it_is_not() -> None:
    line = Line(1, 100, HORIZON)
    line.run([look(0, T0)], crashes=False)
    past(line, 40)
    line.run([look(1, T0 + LONGEST, T0 + 41 * HOUR), look(2, T0 + LONGEST + 1, T0 + 41 * HOUR)], crashes=False)
    (late,) = line.late.values()
    assert (late.event_id, late.at, late.closed_at) == (EVENTS[1], T0 + LONGEST, T0 + LONGEST)
    assert {row.started_at for row in line.rows.values()} == {T0, T0 + LONGEST + 1}


@pytest.mark.parametrize("closed", [0xFF, 0x0100, 0x018B_FFFF_FFFF, T0])
def test_a_fence_is_found_whatever_its_time_looks_like(closed: int) -> None:
    mark = packing.RECORD.pack(0, 0, b"\xff" * 15 + b"\xfe", 0, 0, 0, 0, packing.GONE, 0, 0)
    behind = packing.RECORD.pack(closed + 1, 0, bytes(16), 0, 0, 0, 0, 1, 0, -1)
    for value in (horizon.fence(closed), mark + horizon.fence(closed) + behind + behind):
        assert horizon.closed_at(packing.FORMAT + value) == closed
    assert horizon.closed_at(packing.FORMAT + mark + behind) == -1


def test_somebody_whose_touchpoints_all_went_to_another_leaves_nothing() -> None:
    line = Line(1, 100, HORIZON)
    line.run([look(0, T0), msgspec.structs.replace(look(0, T0), move=2, record=None)], crashes=False)
    assert kept(line, b"p")
    past(line, 40)
    assert kept(line, b"p") == {}
    assert not line.partition._people


def test_journeys_and_outcomes_stand_when_their_person_leaves() -> None:
    line = Line(1, 100, HORIZON)
    line.run([look(0, T0), look(1, T0 + HOUR, name="buy")], crashes=False)
    past(line, 31)
    before, told = shown(line.rows.values()), live(line.outcomes)
    assert told
    past(line, 40)
    assert (shown(line.rows.values()), live(line.outcomes)) == (before, told)


def test_a_row_that_is_owed_is_written_before_its_person_leaves() -> None:
    line = Line(1, 100, HORIZON)
    messages = [ReadTo(0, T0), look(0, T0), look(1, T0 + HOUR), ReadTo(0, T0 + 90 * HOUR), ReadTo(0, T0 + 91 * HOUR)]
    line.partition.take(chunk([encode(message) for message in messages]))
    line.commit()
    assert {row.touchpoints for row in line.rows.values()} == {2}


def test_what_leaves_an_evicted_person_is_late_and_their_journeys_stand() -> None:
    line = Line(1, 100, HORIZON)
    line.run([look(0, T0)], crashes=False)
    past(line, 40)
    before = shown(line.rows.values())
    gone = msgspec.structs.replace(look(0, T0, T0 + 50 * HOUR), move=2, record=None, cause="merge")
    line.run([gone, msgspec.structs.replace(look(0, T0, T0 + 50 * HOUR, person=1), move=2)], crashes=False)
    (late,) = line.late.values()
    assert (late.person_id, late.at, late.cause) == (PEOPLE[0], 0, "merge")
    other = [row for row in shown(line.rows.values()) if row["person_id"] == PEOPLE[1]]
    assert len(other) == 2, "whose it is now was never silent for so long"
    assert [row for row in shown(line.rows.values()) if row not in other] == before
    past(line, 140)
    assert len(kept(line, b"p")) == 2, "the fences"
    assert all(len(value) < 100 for value in kept(line, b"p").values())


def test_nobody_leaves_a_replay_before_it_has_caught_up() -> None:
    line = Line(1, 100, HORIZON)

    def begin(at: int) -> None:
        line.partition = StitchPartition(
            3, DEFINITIONS, generation=2, partitions=1, max_touchpoints=100, journeys="journeys",
            dead_letters=DeadLetters("dead_letters", 4, "stitch"), outage_grace=GRACE, horizon=HORIZON, replayed_until=at,
        )  # fmt: skip
        line.partition.restore([(key, value) for key, value in line.log.items() if value is not None])

    begin(T0 + 300 * HOUR)
    line.run([ReadTo(0, T0), look(0, T0)], crashes=False)
    past(line, 200)
    begin(T0 + 900 * HOUR)  # a restart: what the state remembers counts
    line.run([look(1, T0 + HOUR, T0 + 201 * HOUR)], crashes=False)
    assert not line.late
    assert {row.touchpoints for row in line.rows.values()} == {2}
    past(line, 301)
    line.run([look(2, T0 + 2 * HOUR, T0 + 302 * HOUR)], crashes=False)
    assert set(line.late) == {(PEOPLE[0], EVENTS[2])}


def test_the_watermark_decides_and_no_clock() -> None:
    line = Line(1, 100, HORIZON)
    line.run([ReadTo(0, T0), look(0, T0)], crashes=False)
    line.now += 10_000 * HOUR
    line.run([look(1, T0 + HOUR)], crashes=False)
    assert not line.late
    assert {row.touchpoints for row in line.rows.values()} == {2}


def test_state_of_a_format_that_nobody_knows_is_refused() -> None:
    line = Line(1)
    line.run([look(0, T0)], crashes=False)
    key = next(iter(kept(line, b"p")))
    line.log[key] = b"\x07" + (line.log[key] or b"")[1:]
    line.restart()
    with pytest.raises(FormatUnknown, match=r"partition 3 .* \(07, where 02 and 01 are known\)"):
        line.partition.tick(T0, {})


def test_who_comes_from_the_release_before_leaves_the_horizon_after_the_upgrade() -> None:
    line = Line(1, 100, HORIZON)
    line.run([ReadTo(0, T0), look(0, T0)], crashes=False)
    (key, value) = next(iter(kept(line, b"p").items()))
    line.log[key] = packing.BEFORE + value[1:-18] + value[-10:]
    line.log[b"m"] = encode({**msgspec.json.decode(line.log[b"m"] or b""), "read_to": {0: T0 + 100 * HOUR}})
    for _ in range(2):  # also when it is restarted meanwhile
        line.restart()
        past(line, 130)
        assert packing.news(line.partition._people[key[1:]]) == T0 + 100 * HOUR
    past(line, 132)
    assert len(kept(line, b"p")[key]) == 1 + packing.SIZE + line.partition._head.size
    assert not line.partition._horizon.reached(FAR)


def test_a_horizon_that_is_shorter_than_a_journey_is_refused() -> None:
    horizon.check(30 * HOUR, DEFINITIONS)
    with pytest.raises(
        HorizonTooShort, match=r"horizon is 1 days, but a journey 'purchase' ends after 1.25 days .* at least 1.25"
    ):
        horizon.check(24 * HOUR, DEFINITIONS)


def test_a_fence_moves_with_its_person_to_another_partition() -> None:
    line = Line(1, 100, HORIZON)
    line.run([msgspec.structs.replace(look(0, T0), person_id=f"{n + 7:032x}") for n in range(8)], crashes=False)
    past(line, 40)
    states = [Gathered(), Gathered()]
    for key, value in line.log.items():
        states[0].put(key, value)
    moves = [move for move in stitch_moves(states, 2) if move.removed]
    for move in moves:
        (moved,) = (value for key, value in move.written.items() if key[:1] == b"p")
        assert moved in kept(line, b"p").values()
    assert moves
