"""Figures as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.text import bar, cut, duration, money, percent, sparkline

UNITS = {"d": 86_400_000, "h": 3_600_000, "min": 60_000, "s": 1_000}


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [
        (-5, "0 s"), (0, "0 s"), (340, "0.3 s"), (9_999, "9.9 s"), (10_000, "10 s"), (59_999, "59 s"), (60_000, "1 min"),
        (61_000, "1 min 1 s"), (3_600_000, "1 h"), (3_661_000, "1 h 1 min"), (3 * 86_400_000 + 5_000, "3 d"),
    ],
)  # fmt: skip
def test_durations(milliseconds: int, said: str) -> None:
    assert duration(milliseconds) == said


@given(st.integers(0, 10**12), st.integers(1, 2))
def test_a_duration_is_never_more_than_it_was_and_loses_less_than_its_smallest_possible_unit(
    ms: int, units: int
) -> None:
    words = duration(ms, units).split()
    said = sum(round(float(number) * UNITS[unit]) for number, unit in zip(words[::2], words[1::2], strict=True))
    names = list(UNITS)
    last_possible = min(names.index(words[1]) + units - 1, len(names) - 1)
    lost = 100 if ms < 10_000 else UNITS[names[last_possible]]
    assert 0 <= ms - said < lost
    assert len(words) <= 2 * units


@pytest.mark.parametrize(
    ("amount", "currency", "said"),
    [
        (48_400, "MXN", "MXN 484.00"), (-5, "EUR", "EUR -0.05"), (1_250, "JPY", "JPY 1,250"), (1_500, "KWD", "KWD 1.500"),
    ],
)  # fmt: skip
def test_money_has_the_digits_of_its_currency(amount: int, currency: str, said: str) -> None:
    assert money(amount, currency) == said


def test_shares() -> None:
    assert (percent(1, 8), percent(0, 8), percent(0, 0)) == ("12.5 %", "0.0 %", "–")


@given(st.floats(0, 1e9), st.floats(0, 1e9), st.integers(1, 60))
def test_bars_fit_and_what_is_something_can_be_seen(value: float, other: float, width: int) -> None:
    largest = max(value, other)
    drawn = bar(value, largest, width)
    assert len(drawn) <= width
    assert bool(drawn) == (value > 0)
    assert len(bar(largest, largest, width)) == (width if largest else 0)


@given(st.lists(st.floats(0, 1e6), max_size=50), st.integers(1, 40))
def test_sparklines_show_the_last_values_and_the_largest_is_full(values: list[float], width: int) -> None:
    drawn = sparkline(values, width)
    assert len(drawn) == min(len(values), width)
    if any(values[-width:]):
        assert "█" in drawn


@given(st.text(max_size=30), st.integers(1, 30))
def test_what_is_cut_fits(words: str, width: int) -> None:
    assert len(cut(words, width)) <= width
    assert (cut(words, width) == words) == (len(words) <= width) or words.endswith("…")
