"""The views about identity and completeness: former ids, touchpoints that moved, what became of everything that was sent."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sinks.generations import swap
from sinks.reader import connect
from sinks.writer import Refused
from tests.integration.conftest import Tables
from tests.sink_records import HOUR, MARCH, assigned, came_late, counted, identifier, identity, touchpoint

pytestmark = pytest.mark.integration
FIELDS = ("sent", "stored", "superseded", "late", "duplicate", "rejected", "erased", "missing")


def letter(record: bytes, *, leg: str = "collector", source: str = "shop", at: int = MARCH) -> bytes:
    return msgspec.json.encode(
        {"source": source, "leg": leg, "reason": "invalid", "path": "", "message": "m", "address": "r/1", "at": at,
         "record": record.decode(), "bytes": len(record), "sha256": "0"}
    )  # fmt: skip


def ledger(tables: Tables) -> dict[tuple[str, int], dict[str, int]]:
    """What is not zero, by source and hour (counted from March)."""
    asked = f"SELECT source, intDiv(toUnixTimestamp(hour) - {MARCH // 1000}, 3600), {', '.join(FIELDS)} FROM v_ledger"
    return {
        (source, hour): {name: count for name, count in zip(FIELDS, counts, strict=True) if count}
        for source, hour, *counts in tables.ask(asked)
    }


# --- the ledger -------------------------------------------------------------------------------------------------------


def test_the_latest_counts_of_every_partition_are_added_up(tables: Tables) -> None:
    tables.write("ledger", [counted({"stored": 7, "duplicate": 1}), counted({"stored": 9, "duplicate": 1, "late": 2})])
    tables.write("ledger", [counted({"stored": 5, "superseded": 3}, partition=1)], partition=1)
    tables.write("ledger", [counted({"erased": 1}, hour=MARCH + HOUR), counted({"rejected": 4}, source="till")], 9)
    expected: dict[tuple[str, int], dict[str, int]] = {
        ("shop", 0): {"sent": 20, "stored": 14, "superseded": 3, "duplicate": 1, "late": 2},
        ("shop", 1): {"sent": 1, "erased": 1},
        ("till", 0): {"sent": 4, "rejected": 4},
    }
    assert ledger(tables) == expected
    tables.write("ledger", [counted({"stored": 7, "duplicate": 1})])  # delivered again
    assert ledger(tables) == expected


def test_only_the_live_generation_counts(tables: Tables) -> None:
    tables.write("ledger", [counted({"stored": 7}), counted({"stored": 8}, generation=2)])
    assert ledger(tables) == {("shop", 0): {"sent": 7, "stored": 7}}
    with connect(tables.settings) as client:
        swap(client, 2)
    assert ledger(tables) == {("shop", 0): {"sent": 8, "stored": 8}}


def test_an_event_that_was_counted_twice_is_taken_back(tables: Tables) -> None:
    """The correction may fall into an hour without anything else: also a sum of 0 is said."""
    tables.write("ledger", [counted({"stored": 2}), counted({"stored": -1, "superseded": 1}, hour=MARCH + HOUR)])
    assert ledger(tables) == {("shop", 0): {"sent": 2, "stored": 2}, ("shop", 1): {"stored": -1, "superseded": 1}}


def test_what_came_no_further_than_the_door_is_rejected_what_a_leg_refused_is_in_its_counts(tables: Tables) -> None:
    letters = [letter(b"{"), letter(b"{", leg="import", at=MARCH + HOUR + 1), letter(b"{", leg="identity")]
    tables.write("dead_letters", letters)
    tables.write("ledger", [counted({"rejected": 1})])
    assert ledger(tables) == {("shop", 0): {"sent": 2, "rejected": 2}, ("shop", 1): {"sent": 1, "rejected": 1}}


def test_what_came_after_the_horizon_is_late_and_not_stored(tables: Tables) -> None:
    """As long as nothing newer is said of it: two are late, one left again, one was corrected and is in journeys now."""
    tables.write("touchpoints", [touchpoint(n) for n in range(5)], at=MARCH + HOUR)
    tables.write("people", [assigned(n) for n in range(5)])
    tables.write("late", [came_late(n) for n in range(4)])
    tables.write("ledger", [counted({"stored": 5}, hour=MARCH + HOUR)])
    assert ledger(tables) == {("shop", 1): {"sent": 5, "stored": 1, "late": 4}}
    tables.write("people", [assigned(2, move=1, gone=True), assigned(2, move=1, person=7)])
    tables.write("late", [came_late(2, move=1, gone=True)])
    tables.write("people", [assigned(3, revision=1)])
    assert ledger(tables) == {("shop", 1): {"sent": 5, "stored": 3, "late": 2}}
    assert tables.ask("SELECT event_id, occurred_at <= closed_at, cause FROM v_late ORDER BY occurred_at") == [
        (identifier("event", 0), 1, ""),
        (identifier("event", 1), 1, ""),
    ]
    with connect(tables.settings) as client:
        swap(client, 2)
    assert tables.ask("SELECT count() FROM v_late") == [(0,)], "a replay has folded them"


def numbered(number: int, sequence: int | None, stream: str | None = "s", **changes: Any) -> bytes:
    return touchpoint(number, sequence=sequence, stream=stream, **changes)


def missing(tables: Tables) -> dict[int, int]:
    return {hour: counts["missing"] for (_, hour), counts in ledger(tables).items() if "missing" in counts}


def test_a_gap_in_the_numbers_is_missing_in_the_hour_of_the_next_that_arrived(tables: Tables) -> None:
    tables.write("touchpoints", [numbered(1, 2), numbered(2, 3)])
    assert missing(tables) == {0: 2}, "numbers begin at 0"
    tables.write("touchpoints", [numbered(3, 9)], 2, at=MARCH + 5 * HOUR)
    assert missing(tables) == {0: 2, 5: 5}
    tables.write("touchpoints", [numbered(4, 7)], 3, at=MARCH + 6 * HOUR)
    assert missing(tables) == {0: 2, 5: 1, 6: 3}
    tables.write("touchpoints", [numbered(10 + n, n) for n in (0, 1, 4, 5, 6, 8)], 4, at=MARCH + 7 * HOUR)
    assert missing(tables) == {}


def test_every_stream_of_every_source_has_its_own_numbers(tables: Tables) -> None:
    values = [numbered(1, 1, "a"), numbered(2, 1, "b"), numbered(3, 1, "a", source="till"), numbered(4, 2, None),
              numbered(5, None, None), numbered(6, None, "c")]  # fmt: skip
    tables.write("touchpoints", values)
    assert ledger(tables) == {("shop", 0): {"sent": 4, "missing": 4}, ("till", 0): {"sent": 1, "missing": 1}}


def test_what_was_retracted_refused_or_sent_twice_is_not_missing(tables: Tables) -> None:
    tables.write("touchpoints", [numbered(1, 0), numbered(2, 1), numbered(2, 1, revision=1, retracted=True)])
    tables.write("touchpoints", [numbered(3, 4), numbered(4, 4), numbered(3, 4)], 3)
    raw = b'{"channel": "web", "sequence": 2, "stream": "s"}'
    tables.write("dead_letters", [letter(raw), letter(numbered(5, 3), leg="identity"), letter(b"[1]"), letter(b"{"),
                                  letter(b'{"sequence": -1, "stream": "s"}'), letter(b'{"sequence": "x"}')])  # fmt: skip
    assert missing(tables) == {}
    assert ledger(tables)["shop", 0]["rejected"] == 5


@pytest.mark.parametrize(
    "bad", [b"{", b"{}", counted({}), counted({"stored": 1}).replace(b'"hour":1', b'"hour":-1')], ids=repr
)
def test_what_is_no_count_is_refused(tables: Tables, bad: bytes) -> None:
    with pytest.raises(Refused):
        tables.write("ledger", [bad])
    assert ledger(tables) == {}


# --- former ids -------------------------------------------------------------------------------------------------------


def test_a_former_id_leads_to_the_customer_until_somebody_has_it_again(tables: Tables) -> None:
    """0 became part of 1; 2 is still alone; 3 belongs to 1 as well, but has kept a touchpoint of its own."""
    tables.write("identities", [identity(0, person=1), identity(1), identity(2), identity(3, person=1)])
    tables.write("people", [assigned(5), assigned(5, gone=True, move=1, cause="merge"),
                            assigned(5, person=1, move=1, cause="merge"), assigned(35)])  # fmt: skip
    assert tables.ask("SELECT * FROM v_person_aliases") == [(identifier("person", 0), identifier("person", 1))]
    tables.write("identities", [identity(0, version=2)])
    assert tables.ask("SELECT * FROM v_person_aliases") == []


# --- what moved -------------------------------------------------------------------------------------------------------

MOVED = (
    "SELECT person_id, event_id, to_person_id, cause, toUnixTimestamp64Milli(at), revision, move FROM v_restatements"
)


def person(number: int) -> Any:
    return identifier("person", number)


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (2, 4, 0, 3, 1, 2)])
def test_a_touchpoint_that_moved_twice_left_two_customers(tables: Tables, order: tuple[int, ...]) -> None:
    said = [
        assigned(1, person=5),
        assigned(1, person=5, gone=True, move=1, cause="named"),
        assigned(1, person=6, move=1, cause="named"),
        assigned(1, person=6, gone=True, move=2, cause="merge"),
        assigned(1, person=7, move=2, cause="merge"),
    ]
    for number in order:
        tables.write("people", [said[number]])
    at, event = MARCH + 1_300, identifier("event", 1)
    assert sorted(tables.ask(MOVED), key=lambda row: row[6]) == [
        (person(5), event, person(7), "named", at, 0, 1),
        (person(6), event, person(7), "merge", at, 0, 2),
    ]
    assert tables.ask("SELECT cause FROM person_touchpoints FINAL") == [("merge",)]


def test_who_got_it_back_has_not_lost_it_until_it_leaves_again(tables: Tables) -> None:
    """Each in a part of its own: the tombstone of a customer who has it again may be there for long."""
    there_and_back = [
        assigned(1, person=5),
        assigned(1, person=5, gone=True, move=1, cause="merge"),
        assigned(1, person=6, move=1, cause="merge"),
        assigned(1, person=6, gone=True, move=2, cause="split"),
        assigned(1, person=5, move=2, cause="split"),
    ]
    with connect(tables.settings) as client:
        client.execute("SYSTEM STOP MERGES person_touchpoints")
    for said in there_and_back:
        tables.write("people", [said])
    assert [row[:4] for row in tables.ask(MOVED)] == [(person(6), identifier("event", 1), person(5), "split")]
    for said in (assigned(1, person=5, gone=True, move=3, cause="named"), assigned(1, person=7, move=3, cause="named")):
        tables.write("people", [said])
    assert sorted((row[2:4], row[6]) for row in tables.ask(MOVED)) == [
        ((person(7), "named"), 3),
        ((person(7), "split"), 2),
    ]


def test_what_was_taken_back_is_nobodys(tables: Tables) -> None:
    tables.write("people", [assigned(1), assigned(1, gone=True, revision=3, cause="correction"), assigned(2)])
    assert [(row[2], row[3], row[5]) for row in tables.ask(MOVED)] == [(None, "correction", 3)]


def test_what_left_before_causes_were_said_is_not_told(tables: Tables) -> None:
    tables.write("people", [assigned(1, gone=True, move=1), assigned(1, person=6, move=1)])
    assert tables.ask(MOVED) == []
