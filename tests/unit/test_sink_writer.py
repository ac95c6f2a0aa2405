"""Bad rows are found by halving; good neighbours are written; trouble of the server is nobody's fault."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.writer import Refused, Unavailable, write_good


class FakeTable:
    """Refuses every batch that holds a bad number, whole."""

    def __init__(self, bad: set[int]) -> None:
        self.bad = bad
        self.rows: list[int] = []
        self.writes = 0

    def write(self, rows: Sequence[int]) -> None:
        self.writes += 1
        if self.bad & set(rows):
            raise Refused("bad row")
        self.rows += rows


@given(st.integers(0, 200), st.sets(st.integers(0, 199), max_size=6))
def test_all_but_the_bad_rows_are_written_once_and_in_order(size: int, bad: set[int]) -> None:
    table = FakeTable(bad)
    found = write_good(table.write, range(size))
    assert table.rows == [number for number in range(size) if number not in bad]
    assert [one.record for one in found] == sorted(number for number in bad if number < size)


def test_one_bad_row_costs_few_writes() -> None:
    table = FakeTable({7_777})
    write_good(table.write, range(10_000))
    assert table.writes <= 2 * 14 + 1


def test_an_absent_server_makes_no_bad_rows() -> None:
    def write(rows: Sequence[int]) -> None:
        raise Unavailable("gone")

    with pytest.raises(Unavailable):
        write_good(write, [1, 2])
