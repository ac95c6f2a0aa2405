"""What stands in the tables when rows come twice, late, out of order, moved, or are no rows at all."""

from __future__ import annotations

import random
import time
from typing import Any

import msgspec
import pytest

from runtime.settings import ClickHouseSettings
from sinks.digest import digest
from sinks.reader import connect, reader
from sinks.rollups import Pass
from sinks.rows import TABLES as TABLE_OF
from sinks.rows import lines_of
from sinks.writer import Refused, write_good
from tests.integration.conftest import Tables
from tests.sink_records import (
    HOUR,
    MARCH,
    FakeRecord,
    assigned,
    identifier,
    identity,
    identity_before,
    journey,
    outcome,
    touchpoint,
)

pytestmark = pytest.mark.integration


def test_a_row_holds_what_its_source_said(tables: Tables) -> None:
    tables.write("touchpoints", [touchpoint(7)])
    columns = (
        "source, identifiers, channel, name, toUnixTimestamp64Milli(occurred_at), sequence, page, amount, currency"
    )
    assert tables.ask(f"SELECT {columns}, feedback, score, feedback_text FROM v_touchpoint_facts") == [
        ("shop", {"customer_id": "0", "email": "c0@example.org"}, "app", "page_view", MARCH + 7_000, 7,
         "https://shop.example/7", 7, "MXN", "nps", 7, "")
    ]  # fmt: skip
    ((properties,),) = tables.ask("SELECT properties FROM v_touchpoint_facts")
    assert msgspec.json.decode(properties) == msgspec.json.decode(touchpoint(7))["properties"]


def test_what_is_missing_is_not_zero(tables: Tables) -> None:
    tables.write("touchpoints", [touchpoint(1, sequence=None), touchpoint(2, sequence=0)])
    assert tables.ask("SELECT sequence, score FROM v_touchpoint_facts ORDER BY name DESC") == [(0, None), (None, None)]
    unknown = msgspec.json.decode(assigned(3))
    del unknown["record"]["sequence"]
    tables.write("people", [msgspec.json.encode(unknown)])
    assert tables.ask("SELECT sequence, score FROM v_touchpoints") == [(None, None)]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2, 1, 0, 2, 0)])
def test_a_revision_that_moves_the_time_leaves_one_row(tables: Tables, order: tuple[int, ...]) -> None:
    months = 40 * 24 * HOUR
    revisions = [touchpoint(1, revision=number, occurred_at=MARCH + number * months) for number in range(3)]
    for number in order:
        tables.write("touchpoints", [revisions[number]], first_offset=number)
    assert tables.ask("SELECT revision, toUnixTimestamp64Milli(occurred_at) FROM v_touchpoint_facts") == [
        (2, MARCH + 2 * months)
    ]


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 1, 0, 1), (1, 0, 1)])
def test_of_equal_revisions_the_first_in_the_log_stands(tables: Tables, order: tuple[int, ...]) -> None:
    same_id = [touchpoint(1, name="first"), touchpoint(1, name="second", occurred_at=MARCH + 50 * HOUR)]
    for offset in order:
        tables.write("touchpoints", [same_id[offset]], first_offset=100 + offset)
    assert tables.ask("SELECT name FROM v_touchpoint_facts") == [("first",)]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_first_stands_also_when_a_resize_moved_its_key(tables: Tables, order: tuple[int, ...]) -> None:
    first = FakeRecord("touchpoints", 70_000, touchpoint(1, name="first"), partition=1, timestamp=MARCH)
    second = FakeRecord("touchpoints", 3, touchpoint(1, name="second"), partition=5, timestamp=MARCH + 1)
    for number in order:
        tables.writer.write("touchpoints", lines_of("touchpoints", [(first, second)[number]]))
    assert tables.ask("SELECT name FROM v_touchpoint_facts") == [("first",)]


def test_a_retraction_takes_the_row_away_whenever_it_comes(tables: Tables) -> None:
    retraction = touchpoint(1, revision=2, retracted=True)
    tables.write("touchpoints", [retraction])
    tables.write("touchpoints", [touchpoint(1, revision=1)], first_offset=5)
    assert tables.ask("SELECT count() FROM v_touchpoint_facts") == [(0,)]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0, 1)])
def test_a_touchpoint_given_to_another_customer_has_one_owner(tables: Tables, order: tuple[int, ...]) -> None:
    moves = [assigned(1, person=5, move=0), assigned(1, person=5, move=1, gone=True), assigned(1, person=6, move=1)]
    for number in order:
        tables.write("people", [moves[number]])
    assert tables.ask("SELECT person_id FROM v_touchpoints") == [(identifier("person", 6),)]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (2, 0, 1, 2, 0)])
def test_of_an_identifier_the_highest_version_counts(tables: Tables, order: tuple[int, ...]) -> None:
    """Also over the last sighting of the release before, however much later it was."""
    said = (
        identity_before(1, person=2, at=MARCH + 10**12),
        identity(1, person=3, version=1 << 48),
        identity(1, person=4, version=1 << 48 | 1, shared=True),
    )
    for number in order:
        tables.write("identities", [said[number]], first_offset=90 - number)
    assert tables.ask("SELECT person_id, shared FROM v_identities") == [(identifier("person", 4), True)]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_until_it_is_said_anew_the_latest_sighting_of_the_release_before_counts(
    tables: Tables, order: tuple[int, ...]
) -> None:
    said = [identity_before(1, person=2), identity_before(1, person=3, at=MARCH + 1),
            identity_before(1, person=4, at=MARCH + 1)]  # fmt: skip
    for number in order:
        tables.write("identities", [said[number]], first_offset=10 + number)
    assert tables.ask("SELECT person_id, shared FROM v_identities") == [(identifier("person", 4), False)]
    assert tables.ask("SELECT * FROM v_person_aliases") == [], "what it was called by itself is not known"


def test_a_dead_letter_delivered_again_stays_one(tables: Tables) -> None:
    letter = {"source": "s", "leg": "collector", "reason": "invalid", "path": "", "message": "m", "address": "r/1",
              "at": MARCH, "record": "{", "bytes": 1, "sha256": "0"}  # fmt: skip
    of_the_sink = letter | {"leg": "sink", "address": "touchpoints/0/7"}
    for first in (3, 3):
        tables.write("dead_letters", [msgspec.json.encode(letter)] * 2, first_offset=first)
    for first in (8, 9):  # refused again after a restart: another record, the same letter
        tables.write("dead_letters", [msgspec.json.encode(of_the_sink)], first_offset=first)
    assert tables.ask("SELECT leg, count() FROM v_dead_letters GROUP BY leg ORDER BY leg") == [
        ("collector", 2),
        ("sink", 1),
    ]


BAD = [
    b"",
    b" ",
    b"null",
    b"[]",
    b"{}",
    b"{",
    b'{"event_id":"not-an-id"}',
    b'{"event_id":17}',
    touchpoint(3)[:-1],
    touchpoint(3).replace(b'"occurred_at":', b'"occurred_at":9'),
    touchpoint(3).replace(b'"occurred_at":1', b'"occurred_at":-1'),
    touchpoint(3).replace(b'"sequence":3', b'"sequence":"x"'),
    touchpoint(3).replace(b'"name":"checkout"', b'"name":""'),
    touchpoint(7).replace(b'"score":7', b'"score":"x"'),
]


@pytest.mark.parametrize("bad", range(len(BAD)))
def test_a_bad_row_never_costs_a_good_neighbour(tables: Tables, bad: int) -> None:
    values = [touchpoint(number) for number in range(10, 14)]
    records = [
        FakeRecord("touchpoints", offset, value) for offset, value in enumerate([*values[:2], BAD[bad], *values[2:]])
    ]
    found = write_good(lambda some: tables.writer.write("touchpoints", lines_of("touchpoints", some)), records)
    assert [one.record for one in found] == [records[2]]
    assert tables.ask("SELECT count(), uniqExact(event_id) FROM v_touchpoint_facts") == [(4, 4)]


def test_the_digest_depends_on_the_content_alone(tables: Tables, empty_database: ClickHouseSettings) -> None:
    def everything(number: int) -> list[tuple[str, bytes]]:
        return [
            ("touchpoints", touchpoint(number)),
            ("people", assigned(number)),
            ("identities", identity(number)),
            ("journeys", journey(number)),
            ("outcomes", outcome(number)),
        ]

    written = [record for number in range(30) for record in everything(number)]
    for topic, value in written:
        tables.write(topic, [value], first_offset=7)
    first = tables.digests()
    again = [*written, *written]
    random.Random(5).shuffle(again)
    for topic in TABLE_OF:
        if values := [value for name, value in again if name == topic]:
            tables.write(topic, values, first_offset=1_000)
    assert tables.digests() == first
    # Arrival and versions do not count, content does.
    tables.write("journeys", [journey(3, version=9, arrived_at=MARCH + HOUR)])
    tables.write("touchpoints", [touchpoint(3, received_at=MARCH + HOUR, sent_at=None)])
    assert tables.digests() == first
    tables.write("journeys", [journey(3, version=10, touchpoints=4)])
    changed = {table for table, value in tables.digests().items() if value != first[table]}
    assert changed == {"journeys"}


def test_a_digest_before_and_after_a_deadline_was_written_is_the_same(tables: Tables) -> None:
    due = MARCH + HOUR
    tables.write("journeys", [journey(0, due_at=due)])
    before = tables.digests()["journeys"]
    silent: dict[str, Any] = {
        "status": "dropped_off",
        "drop_off_at": [due],
        "drop_off_stage": [3],
        "drop_off_step": [2],
        "recovered_at": [0],
    }
    tables.write("journeys", [journey(0, version=2, due_at=due, **silent)])
    assert tables.digests()["journeys"] == before
    with reader(tables.settings) as one:
        assert digest(one, "journeys", due) != before == digest(one, "journeys", due + 1)


def test_an_open_journey_whose_deadline_has_passed_is_dropped_off(tables: Tables) -> None:
    tables.write("journeys", [journey(0, due_at=MARCH + HOUR), journey(1), journey(2, due_at=0, status="completed")])
    assert tables.ask("SELECT status FROM v_journeys ORDER BY started_at") == [
        ("dropped_off",),
        ("open",),
        ("completed",),
    ]
    assert tables.ask("SELECT stage, entered, decided, dropped_off FROM v_drop_off ORDER BY stage") == [
        (1, 3, 3, 0), (2, 3, 3, 0), (3, 3, 2, 1),
    ]  # fmt: skip


def test_the_drop_off_rate_counts_as_it_is_defined(tables: Tables) -> None:
    """Stage 3 of seven journeys: two are there, one of them came back; one dropped off; one went on; one recovered and went
    on; one completed; one left it, came back to it and dropped off there."""
    back: dict[str, Any] = {
        "drop_off_at": [MARCH + HOUR],
        "drop_off_stage": [3],
        "drop_off_step": [2],
        "recovered_at": [MARCH + 2 * HOUR],
    }
    gone: dict[str, Any] = {
        "drop_off_at": [MARCH + HOUR],
        "drop_off_stage": [3],
        "drop_off_step": [2],
        "recovered_at": [0],
    }
    tables.write(
        "journeys",
        [
            journey(0),
            journey(1, status="recovered", **back),
            journey(2, status="dropped_off", due_at=MARCH + HOUR, **gone),
            journey(3, steps=4),
            journey(4, steps=4, status="recovered", **back),
            journey(5, status="completed", completed_at=MARCH + HOUR, due_at=0),
            journey(
                6, status="dropped_off", due_at=MARCH + HOUR, stage=3, stages=0b11110, path_stage=[3, 4, 3], **gone
            ),
        ],
    )
    assert tables.ask(
        "SELECT stage_name, sum(entered), sum(decided), sum(dropped_off), sum(recovered) "
        "FROM v_drop_off WHERE stage = 3 GROUP BY stage_name"
    ) == [("consideration", 7, 6, 2, 2)]
    tables.refresh()
    counts = "sum(entered), sum(moved_on), sum(dropped_off), sum(still_open), sum(recovered), sum(completed)"
    assert tables.ask(f"SELECT {counts} FROM v_funnel WHERE stage = 3") == [(7, 3, 2, 2, 2, 1)]


def test_directly_follows_pairs(tables: Tables) -> None:
    paths = [["web", "cart", "call", "buy"], ["web", "cart", "buy"], ["web", "call"]]
    tables.write("journeys", [journey(number, path_touchpoint=path) for number, path in enumerate(paths)])
    assert tables.ask(
        "SELECT touchpoint, next_touchpoint, sum(transitions) FROM v_transitions GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"
    ) == [("web", "cart", 2), ("call", "buy", 1), ("cart", "buy", 1), ("cart", "call", 1), ("web", "call", 1)]


ROLLUPS = {
    "v_daily_transitions": "SELECT definition, day, entry_channel, touchpoint, next_touchpoint, transitions FROM v_transitions",
    "v_daily_channel_paths": "SELECT definition, day, entry_channel, arraySlice(channel_path, 1, 6), sum(journeys), "
    "sum(completed) FROM v_channel_paths GROUP BY ALL",
    "v_daily_touchpoints": "SELECT sum(length(path_time)), sumIf(1, status = 'dropped_off'), "
    "sum(arrayCount((k, s) -> k = 'nps' AND s >= 9, feedback_kind, feedback_score)) FROM v_journeys",
    "v_daily_steps": "SELECT sum(least(length(path_channel), 6) - 1) FROM v_journeys",
}
SAME_FROM_ROLLUP = {
    "v_daily_touchpoints": "SELECT sum(touchpoints), sum(dropped_after), sum(nps_promoters) FROM v_daily_touchpoints",
    "v_daily_steps": "SELECT sum(journeys) FROM v_daily_steps",
}


def test_rollups_equal_the_rows_after_rewrites_and_tombstones(tables: Tables) -> None:
    tables.write("journeys", [journey(number, steps=2 + number % 4) for number in range(200)])
    tables.refresh()
    tables.write("journeys", [journey(number, steps=2 + number % 5, version=2) for number in range(0, 200, 3)])
    gone = [journey(number, version=3, is_deleted=1, path_touchpoint=[]) for number in range(40)]
    tables.write("journeys", gone)
    tables.write("journeys", gone)
    tables.refresh()
    tables.refresh()
    for view, rows in ROLLUPS.items():
        prepared = SAME_FROM_ROLLUP.get(view, f"SELECT * FROM {view}")
        assert sorted(tables.ask(prepared), key=repr) == sorted(tables.ask(rows), key=repr), view
    assert tables.ask("SELECT definition, toDate(hour), entry_channel, stage, sum(entered), sum(dropped_off) FROM v_funnel "
                      "GROUP BY ALL ORDER BY ALL") == tables.ask(
        "SELECT definition, day, entry_channel, stage, entered, dropped_off FROM v_drop_off ORDER BY ALL"
    )  # fmt: skip
    assert tables.ask("SELECT count() FROM v_journeys") == [(160,)]


def test_a_refresh_does_only_what_is_dirty(tables: Tables) -> None:
    tables.write("journeys", [journey(0)])
    with connect(tables.settings) as client:
        older = Pass(recent=False)
        assert older.refresh(client) == 1
        assert older.refresh(client) == 0
        assert Pass(recent=True).refresh(client) == 0
        tables.write("journeys", [journey(0, version=2), journey(90)])
        assert older.refresh(client) == 2


def test_rollups_follow_a_deadline_that_passes_without_a_new_row(tables: Tables) -> None:
    due = int(time.time() * 1000) + 1_500
    tables.write("journeys", [journey(0, due_at=due), journey(1, due_at=due + 3_600_000)])
    asked = "SELECT sum(dropped_off) FROM v_funnel"
    tables.refresh()
    assert tables.ask(asked) == [(0,)]
    give_up = time.monotonic() + 30
    while tables.ask(asked) != [(1,)]:
        assert time.monotonic() < give_up, "the drop-off never reached the funnel"
        tables.refresh()
    assert time.time() * 1000 > due


def test_rows_of_another_kind_are_refused_whole(tables: Tables) -> None:
    with pytest.raises(Refused):
        tables.writer.write("journeys", [journey(1), b'{"journey_id":"x"}'])
    assert tables.ask("SELECT count() FROM v_journeys") == [(0,)]


def test_a_path_tells_what_was_skipped_gone_back_to_and_repeated_and_how_long_stages_took(tables: Tables) -> None:
    stages = [0, 1, 1, 3, 2, 0, 3, 5]
    changes: dict[str, Any] = {"stages": 0b101110, "furthest_stage": 5, "path_stage": stages, "completed_at": MARCH}
    tables.write("journeys", [journey(0, steps=len(stages), **changes), journey(1, steps=1)])
    shown = "stages, stages_skipped, stages_back, stages_repeated, stage_ms"
    minutes = {1: 120_000, 2: 120_000, 3: 120_000, 5: 0}
    assert tables.ask(f"SELECT {shown} FROM v_journeys ORDER BY touchpoints") == [
        ([1], [], [], [], {1: 0}),
        ([1, 2, 3, 5], [4], [2], [3], minutes),
    ]


def test_outcomes_stand_until_they_are_retracted(tables: Tables) -> None:
    tables.write("outcomes", [outcome(0), outcome(1), outcome(2, kind="recovered")])
    tables.write("outcomes", [outcome(1, version=2, retracted=True), outcome(0)])
    assert tables.ask("SELECT kind, stage, channel, touchpoint, historical FROM v_outcomes ORDER BY at") == [
        ("dropped_off", 2, "web", "page_view", False),
        ("recovered", 2, "web", "page_view", False),
    ]
    with reader(tables.settings) as clickhouse:
        due = MARCH + 2 * HOUR
        digests = [digest(clickhouse, "outcomes", as_of) for as_of in (MARCH, MARCH + 1, due, due + 1)]
    assert digests[1] == digests[2]
    assert len(set(digests)) == 3, "what happens at a moment has happened once the moment is over"


def test_a_session_ends_where_nothing_happens_for_more_than_half_an_hour(tables: Tables) -> None:
    minutes = [0, 10, 39, 70]  # gaps of 10, 29 and 31
    touched = [assigned(n, record={"at": MARCH + at * 60_000}) for n, at in enumerate(minutes)]
    tables.write(
        "people",
        [*reversed(touched), assigned(3, move=1, gone=True), assigned(3, move=2, record={"at": MARCH + 70 * 60_000})],
    )
    asked = (
        "SELECT dateDiff('minute', started_at, ended_at), touchpoints, length(path) FROM v_sessions ORDER BY started_at"
    )
    assert tables.ask(asked) == [(39, 3, 3), (0, 1, 1)]
