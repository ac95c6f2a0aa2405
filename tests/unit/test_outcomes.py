"""What happened to journeys: told once, taken back when a late touchpoint proves it wrong, in the end what an oracle says."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors import fold, reading
from processors.deadlines import QUIET, STANDSTILL, Calendar, passed
from processors.outcomes import Happened, Outcomes, changes
from processors.stitching import Meta
from schemas.codec import encode
from schemas.outcome import Outcome
from schemas.person import Assigned, FoldRecord, ReadTo
from sinks.verify import plain
from tests import oracle
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
    histories,
)

FAR = T0 + 200 * HOUR
SECOND = 1_000
Said = Assigned | ReadTo


def live(rows: dict[str, Outcome], as_of: int = FAR) -> list[dict[str, Any]]:
    without = {"historical", "retracted", "version"}
    found = [row for row in rows.values() if not row.retracted and row.at < as_of]
    columns = [name for name in Outcome.__struct_fields__ if name not in without]
    return sorted(({name: getattr(row, name) for name in columns} for row in found), key=lambda row: row["outcome_id"])


def expected(messages: Iterable[Said], as_of: int = FAR, most: int = 100) -> list[dict[str, Any]]:
    said = [message for message in messages if isinstance(message, Assigned)]
    found: list[dict[str, Any]] = []
    for person in PEOPLE:
        events = oracle.live(message for message in said if message.person_id == person)
        if len(events) <= most:
            found += plain.outcomes(person, events, DEFINITIONS, as_of)
    for row in found:
        row.pop("lasts")
    return sorted(found, key=lambda row: row["outcome_id"])


def until(line: Line, as_of: int) -> None:
    """Let the watermark go there, and everything fall due; in steps that are no outage at the end."""
    line.run([ReadTo(0, as_of), ReadTo(0, as_of + GRACE), ReadTo(0, as_of + GRACE + 1)], crashes=False)


@st.composite
def arriving(draw: st.DrawFn) -> list[Said]:
    """Histories as they arrive: each statement some time after it occurred, the watermark behind it, at times far ahead."""
    clock, log = T0 - HOUR, list[Said]()
    for message in draw(histories()):
        clock += draw(st.sampled_from([0, 1, SECOND, QUIET // 2, HOUR, 7 * HOUR]))
        log.append(msgspec.structs.replace(message, arrived=clock))
        if draw(st.booleans()):
            log.append(ReadTo(0, clock))
    return log


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(arriving(), st.integers(0, 2**32), st.sampled_from([3, 6, 100]))
def test_what_stands_in_the_end_is_what_the_oracle_says(messages: list[Said], seed: int, most: int) -> None:
    """`Line` also sees that nothing is told twice and nothing taken back that was not told."""
    line = Line(seed, most)
    line.run(messages)
    until(line, FAR)
    assert live(line.outcomes) == expected(messages, most=most)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(arriving(), st.integers(0, 2**32), st.randoms(use_true_random=False))
def test_order_duplicates_and_restarts_change_nothing(messages: list[Said], seed: int, shuffled: random.Random) -> None:
    other = [*messages, *messages]
    shuffled.shuffle(other)
    lines = Line(seed, 100), Line(seed + 1, 100)
    lines[0].run(messages, crashes=False)
    lines[1].run(other)
    for line in lines:
        until(line, FAR)
    assert live(lines[0].outcomes) == live(lines[1].outcomes)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories(), st.integers(0, 2**32))
def test_journeys_and_outcomes_say_the_same(messages: list[Assigned], seed: int) -> None:
    line = Line(seed, 100)
    line.run([ReadTo(0, FAR), *messages])
    until(line, FAR)
    found = {kind: set[tuple[str, int]]() for kind in ("dropped_off", "recovered", "completed")}
    for row in line.outcomes.values():
        if not row.retracted:
            found[row.kind].add((row.journey_id, row.at))
    journeys = [row for row in line.rows.values() if not row.is_deleted]
    assert found["dropped_off"] == {(row.journey_id, at) for row in journeys for at in row.drop_off_at}
    assert found["recovered"] == {(row.journey_id, at) for row in journeys for at in row.recovered_at if at}
    assert found["completed"] == {(row.journey_id, row.completed_at) for row in journeys if row.completed_at}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories(), st.lists(st.integers(0, 100 * HOUR), min_size=2, max_size=6))
def test_due_at_is_the_first_moment_at_which_the_fold_changes_by_itself(
    messages: list[Assigned], moments: list[int]
) -> None:
    line = Line(1, 100)
    line.run(list(messages), crashes=False)
    for place, definition in enumerate(DEFINITIONS):
        for person, value in line.partition._people.items():
            records = value[1 : len(value) - line.partition._head.size]
            for span in reading.read(person, records, DEFINITIONS, line.partition._texts, 100).journeys.values():
                if span.place != place or not span.present:
                    continue

                def at(as_of: int, person: bytes = person, records: bytes = span.records) -> object:
                    return fold.journey(person, place, definition, records, line.partition._texts, as_of, 0, 0)  # noqa: B023

                row = at(0)
                assert isinstance(row, type(next(iter(line.rows.values()))))
                due = row.due_at
                for moment in moments:
                    as_of = row.last_at + moment
                    assert at(as_of) == at(due + 1 if due and as_of > due else 0)
                if due:
                    assert at(due) == row
                    assert at(due + 1) != row


# --- told when ---------------------------------------------------------------------------------------------------------


def look(number: int, at: int, arrived: int | None = None, name: str = "look", person: int = 0) -> Assigned:
    record = FoldRecord(at, "web", name, NUMBERS[name])
    return Assigned(PEOPLE[person], EVENTS[number], 0, 1, at if arrived is None else arrived, record)


def told(line: Line, *messages: Said) -> list[tuple[str, str, int, bool, bool]]:
    """What is newly told of `purchase`: definition, kind, hours since T0, historical, retracted."""
    before = dict(line.outcomes)
    for message in messages:
        line.partition.take(chunk([encode(message)]))
        line.commit()
    rows = [row for ident, row in line.outcomes.items() if before.get(ident) != row and row.definition == "purchase"]
    rows.sort(key=lambda row: row.version)
    return [(row.kind, row.touchpoint, (row.at - T0) // HOUR, row.historical, row.retracted) for row in rows]


def steps(start: int, end: int) -> list[Said]:
    """A watermark that goes on as it does in a line that works."""
    return [*(ReadTo(0, at) for at in range(start, end, STANDSTILL)), ReadTo(0, end)]


def test_a_deadline_passes_with_the_watermark_and_a_late_touchpoint_takes_it_back() -> None:
    line = Line(1, 100)
    assert told(line, ReadTo(0, T0), look(0, T0), *steps(T0, T0 + 2 * HOUR)) == []
    assert told(line, ReadTo(0, T0 + 2 * HOUR + 1)) == [("dropped_off", "look", 2, False, False)]
    line.restart()
    assert told(line, look(1, T0 + HOUR, T0 + 2 * HOUR + 5)) == [("dropped_off", "look", 2, False, True)]
    assert told(line, *steps(T0 + 2 * HOUR + 1, T0 + 4 * HOUR)) == [("dropped_off", "look", 3, False, False)]
    back = told(line, look(2, T0 + 4 * HOUR, T0 + 4 * HOUR, "buy"))
    assert back == [("recovered", "buy", 4, False, False), ("completed", "buy", 4, False, False)]
    assert told(line, *steps(T0 + 4 * HOUR, T0 + 6 * HOUR)) == []


def test_a_late_touchpoint_in_the_middle_takes_back_a_drop_off_that_had_ended() -> None:
    line = Line(1, 100)
    first = told(line, ReadTo(0, T0), look(0, T0), *steps(T0, T0 + 3 * HOUR), look(1, T0 + 3 * HOUR))
    assert first == [("dropped_off", "look", 2, False, False), ("recovered", "look", 3, False, False)]
    line.restart()
    late = told(line, look(2, T0 + 90 * 60 * SECOND, T0 + 3 * HOUR + SECOND))
    assert sorted(late) == [("dropped_off", "look", 2, False, True), ("recovered", "look", 3, False, True)]


def test_what_was_whose_is_taken_back_when_it_is_somebody_elses() -> None:
    line = Line(1, 100)
    told(line, ReadTo(0, T0), look(0, T0, name="buy"))
    gone = msgspec.structs.replace(look(0, T0), move=2, record=None, arrived=T0 + 5)
    moved = msgspec.structs.replace(look(0, T0, name="buy", person=1), arrived=T0 + 5)
    assert told(line, gone) == [("completed", "buy", 0, False, True)]
    assert told(line, moved) == [("completed", "buy", 0, False, False)]


def test_the_process_clock_is_not_asked() -> None:
    line = Line(1, 100)
    told(line, ReadTo(0, T0), look(0, T0))
    for now in (T0 + 1_000 * HOUR, T0 - 1_000 * HOUR, T0 + 2_000 * HOUR):
        line.now = now
        line.partition.tick(now, {"people": now})
        assert told(line, ReadTo(0, T0 + SECOND)) == []


def test_after_an_outage_what_arrived_meanwhile_is_read_first_and_clients_may_deliver() -> None:
    line = Line(1, 100)
    told(line, ReadTo(0, T0), look(0, T0), look(0, T0, person=1))
    line.restart()
    end = T0 + 5 * HOUR
    assert told(line, ReadTo(0, end), ReadTo(0, end + GRACE - 1)) == [], "no burst after downtime"
    line.restart()
    assert told(line, look(1, T0 + HOUR, end + GRACE - 1), look(2, T0 + 3 * HOUR, end + GRACE - 1)) == []
    passed_later = told(line, ReadTo(0, end + GRACE))
    assert [row[:3] for row in passed_later] == [("dropped_off", "look", 2)], "the other one's, which nothing disproves"
    line.restart()
    assert told(line, *steps(end + GRACE, end + QUIET)) == []


def test_a_paused_worker_reads_on_as_if_nothing_had_been() -> None:
    """The watermark in its log went on: that is no outage, and the drop-off is told at once."""
    line = Line(1, 100)
    messages = [ReadTo(0, T0), look(0, T0), *steps(T0, T0 + 3 * HOUR)]
    line.partition.take(chunk([encode(message) for message in messages]))
    assert told(line, ReadTo(0, T0 + 3 * HOUR + 1)) == [("dropped_off", "look", 2, False, False)]


def test_history_waits_for_a_minute_without_news_and_says_that_it_is_history() -> None:
    line = Line(1, 100)
    now = T0 + 100 * HOUR
    assert told(line, ReadTo(0, now), look(0, T0, now)) == []
    assert told(line, *steps(now, now + 40 * SECOND), look(1, T0 + HOUR, now + 40 * SECOND)) == []
    line.restart()
    assert told(line, *steps(now + 40 * SECOND, now + 40 * SECOND + QUIET)) == []
    assert told(line, ReadTo(0, now + 40 * SECOND + QUIET + 1)) == [("dropped_off", "look", 3, True, False)]
    bought = told(line, look(2, T0 + 4 * HOUR, now + 2 * QUIET, "buy"))
    assert bought == [("recovered", "buy", 4, True, False), ("completed", "buy", 4, True, False)]


def test_a_drop_off_is_also_a_row_of_its_journey() -> None:
    line = Line(1, 100)
    told(line, ReadTo(0, T0), look(0, T0), *steps(T0, T0 + 2 * HOUR + SECOND))
    assert {row.status for row in line.rows.values()} == {"dropped_off"}


def test_many_deadlines_pass_over_several_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processors.stitching.AT_ONCE", 10)
    line = Line(1, 100)
    many = [msgspec.structs.replace(look(0, T0), person_id=f"{n + 7:032x}") for n in range(25)]
    line.partition.take(chunk([encode(message) for message in [ReadTo(0, T0), *many]]))
    line.commit()
    line.partition.take(chunk([encode(ReadTo(0, T0 + 50 * HOUR))]))
    line.partition.take(chunk([encode(ReadTo(0, T0 + 50 * HOUR + GRACE))]))
    counts = []
    while line.partition.pending():
        line.commit()
        counts.append(sum(row.definition == "purchase" for row in line.outcomes.values()))
    assert counts == [10, 20, 25]


def test_state_of_a_release_that_told_none_tells_all_of_them_once_as_history() -> None:
    messages: list[Said] = [look(0, T0), look(1, T0 + 5 * HOUR, name="want"), look(2, T0, name="buy", person=1)]
    line = Line(1, 100)
    line.run([ReadTo(0, T0 + 5 * HOUR), *messages], crashes=False)
    line.outcomes.clear()
    old = msgspec.json.decode(line.log[b"m"] or b"", type=Meta)
    as_of = T0 + 20 * HOUR  # which that release had reached, without anything in the people's heads that says so
    line.log[b"m"] = encode({"definitions": old.definitions, "counter": old.counter, "read_to": {0: as_of}})
    line.restart()
    line.partition.tick(line.now, {})
    assert line.partition.pending()
    line.commit()
    assert live(line.outcomes) == expected(messages, as_of)
    assert all(row.historical for row in line.outcomes.values())
    line.restart()
    line.partition.tick(line.now, {})
    assert not line.partition.pending()
    until(line, FAR)
    assert live(line.outcomes) == expected(messages)


# --- the parts -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 400_000)), max_size=40), st.integers(1, 3))
def test_the_calendar_finds_everybody_once_and_in_time(moves: Sequence[tuple[int, int]], most: int) -> None:
    """A person is added only when their alarm comes nearer; one that moves away is found later."""
    calendar, alarms, now = Calendar(), dict[bytes, int](), 0
    for number, ahead in moves:
        person = bytes([number])
        at = now + 1 + ahead
        if not 0 < alarms.get(person, 0) <= at:
            calendar.add(at, person)
        alarms[person] = at
        now += ahead // 3
        while calendar.reached(now):
            found = calendar.take(now, most, lambda one: alarms[one])
            assert len(set(found)) == len(found) <= most
            for one in found:
                assert 0 < alarms[one] < now
                alarms[one] = 0
        assert not [one for one, alarm in alarms.items() if 0 < alarm < now]


@given(st.lists(st.integers(1, 30_000), max_size=30), st.integers(0, 20_000))
def test_deadlines_wait_after_a_standstill_and_never_go_back(moves: list[int], grace: int) -> None:
    as_of, at, waits_until = T0, T0, 0
    last_outage = 0
    for move in moves:
        before, as_of, was = as_of, as_of + move, at
        if move > STANDSTILL:
            last_outage = as_of
        at, waits_until = passed(at, waits_until, before, as_of, grace)
        assert was <= at <= as_of
        waits = last_outage and as_of < last_outage + grace
        assert at == (was if waits else as_of)


def test_nothing_waits_when_a_partition_begins() -> None:
    assert passed(0, 0, 0, T0, GRACE) == (T0, 0)


def test_changes_are_what_is_new_or_otherwise_and_what_is_gone() -> None:
    one, other = Happened(0, 1, 1, 1, 5), Happened(0, 2, 1, 1, 5)
    before: Outcomes = {(b"j", "recovered", 1): one, (b"j", "recovered", 2): one, (b"j", "completed", 3): one}
    after: Outcomes = {(b"j", "recovered", 1): one, (b"j", "recovered", 2): other, (b"j", "dropped_off", 9): one}
    fresh, gone = changes(before, after)
    assert fresh == {(b"j", "recovered", 2): other, (b"j", "dropped_off", 9): one}
    assert gone == {(b"j", "completed", 3): one}
