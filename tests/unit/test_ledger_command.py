"""The ledger as it is shown: totals, the sentence about what is missing, JSON."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from cli.ledger import COUNTS, Counts, Hour, as_object, table, total, what_is_missing

MARCH, HOUR = 1_772_323_200_000, 3_600_000
HOURS = [
    Hour("shop", MARCH, Counts(sent=1_012, stored=1_000, superseded=2, duplicate=9, missing=1)),
    Hour("till", MARCH + HOUR, Counts(sent=5, stored=3, missing=2)),
]


def test_a_line_per_hour_and_source_and_one_for_all() -> None:
    head, first, second, last = (line.split() for line in table(HOURS))
    assert head == ["hour", "(UTC)", "source", *COUNTS]
    assert first == ["2026-03-01", "00:00", "shop", "1,012", "1,000", "2", "0", "9", "0", "0", "1"]
    assert second[:4] == ["2026-03-01", "01:00", "till", "5"]
    assert last == ["total", "1,017", "1,003", "2", "0", "9", "0", "0", "3"]
    assert len({len(line) for line in table(HOURS)}) == 1, "columns stand under one another"


def test_what_is_missing_is_said_by_source_with_what_helps() -> None:
    said = what_is_missing(HOURS)
    assert said.startswith("3 touchpoints are missing (shop 1, till 2): ")
    assert "send again" in said
    assert what_is_missing(HOURS[:1]).startswith("1 touchpoint is missing (shop 1)")
    assert what_is_missing([Hour("shop", MARCH, Counts(sent=1, rejected=1))]) == what_is_missing([]) == ""


def test_for_scripts_hours_have_their_names() -> None:
    found = json.loads(json.dumps(as_object(HOURS)))
    assert (
        found["hours"][1]
        == {"source": "till", "hour": "2026-03-01T01:00:00.000Z"} | Counts(sent=5, stored=3, missing=2)._asdict()
    )
    assert found["total"]["sent"] == 1_017
    assert as_object([])["total"] == Counts()._asdict()


@given(st.lists(st.tuples(*[st.integers(-3, 10**9)] * len(COUNTS))))
def test_the_total_is_the_sum_of_each_column(rows: list[tuple[int, ...]]) -> None:
    hours = [Hour("s", MARCH, Counts(*row)) for row in rows]
    assert total(hours) == tuple(sum(row[place] for row in rows) for place in range(len(COUNTS)))


def test_a_source_cannot_break_the_table() -> None:
    lines = table([Hour("a\nb\x1b[31m", MARCH, Counts())])
    assert len(lines) == 3
    assert "\x1b" not in "".join(lines)
