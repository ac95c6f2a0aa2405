"""Records to rows: positions spliced in, watermarks left out, only the newest journeys written."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import encode
from sinks.rows import DirtyHour, lines_of, newest_journeys, rows_among
from tests.sink_records import HOUR, MARCH, FakeRecord, assigned, identifier, journey, touchpoint, watermark


def test_the_position_is_spliced_in_and_nothing_else_changes() -> None:
    value = touchpoint(1)
    (line,) = lines_of("touchpoints", [FakeRecord("touchpoints", 42, value, partition=3)])
    assert json.loads(line) == {"_partition": 3, "_offset": 42, "_at": MARCH} | json.loads(value)


def test_records_that_need_no_position_go_through_as_they_are() -> None:
    value = journey(1)
    assert lines_of("journeys", [FakeRecord("journeys", 42, value)])[0] is value


def test_watermarks_and_deletions_are_no_rows() -> None:
    record = FakeRecord("people", 1, assigned(1))
    deleted = FakeRecord("identities", 3, None)  # type: ignore[arg-type]
    assert rows_among("people", [record, FakeRecord("people", 2, watermark())]) == [record]
    assert rows_among("identities", [deleted]) == []


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5)), max_size=40))
def test_the_highest_version_of_each_journey_is_written(written: list[tuple[int, int]]) -> None:
    records = [
        FakeRecord("journeys", offset, journey(number, version=version))
        for offset, (number, version) in enumerate(written)
    ]
    found = newest_journeys(records)
    highest = {number: max(version for other, version in written if other == number) for number, _ in written}
    rows = [json.loads(record.value) for record in found.newest]
    assert {row["journey_id"]: row["version"] for row in rows} == {
        identifier("journey", number).hex: version for number, version in highest.items()
    }
    assert len(rows) == len(highest)


def test_every_rewritten_hour_is_dirty_also_that_of_a_row_that_is_not_written() -> None:
    records = [
        FakeRecord("journeys", 0, journey(1, version=1, started_at=MARCH + 5 * HOUR + 1)),
        FakeRecord("journeys", 1, journey(1, version=2, started_at=MARCH)),
    ]
    found = newest_journeys(records)
    assert found.dirty == {
        DirtyHour("purchase", MARCH // 1000),
        DirtyHour("purchase", MARCH // 1000 + 5 * 3600),
    }
    assert json.loads(encode(next(iter(found.dirty)))).keys() == {"definition", "hour", "generation"}


def test_what_is_no_journey_keeps_its_address() -> None:
    bad = [FakeRecord("journeys", 1, b"{"), FakeRecord("journeys", 2, b'{"journey_id":"\xff"}')]
    found = newest_journeys([*bad, FakeRecord("journeys", 3, journey(1))])
    assert [one.record for one in found.undecodable] == bad
    assert len(found.newest) == 1


def test_the_oldest_arrival_is_of_those_that_are_known() -> None:
    """A worker that has restarted writes what it owed without the time; 1970 would be a latency of half a century."""
    rows = [FakeRecord("journeys", n, journey(n, arrived_at=at)) for n, at in enumerate((MARCH + 2, 0, MARCH + 1))]
    assert newest_journeys(rows).oldest_arrival == MARCH + 1
    assert newest_journeys(rows[1:2]).oldest_arrival is None
