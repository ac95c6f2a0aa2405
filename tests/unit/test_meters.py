"""Rates from totals, quantiles from histograms."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.meters import KEPT_SECONDS, Meter, quantile


def steady(per_second: int, seconds: int) -> Meter:
    meter = Meter()
    for second in range(seconds + 1):
        meter.add(1_000.0 + second, 7 + per_second * second)
    return meter


def test_before_two_looks_there_is_no_rate() -> None:
    meter = Meter()
    assert (meter.rate(10), meter.series(1, 5), meter.total) == (0.0, [], 0)
    meter.add(5.0, 100)
    assert (meter.rate(10), meter.series(1, 5), meter.total) == (0.0, [], 100)


@given(st.integers(0, 10_000), st.integers(2, 60), st.floats(0.5, 120))
def test_a_steady_stream_has_its_rate_over_any_time(per_second: int, seconds: int, over: float) -> None:
    meter = steady(per_second, seconds)
    assert meter.rate(over) == pytest.approx(per_second)
    assert meter.series(1.5, 100) == pytest.approx([per_second] * int(seconds / 1.5))


def test_a_burst_shows_in_its_interval_and_leaves_the_rate() -> None:
    meter = Meter()
    for second in range(31):
        meter.add(float(second), 500 if second >= 10 else 0)
    assert meter.series(5, 6) == [0, 100, 0, 0, 0, 0]
    assert meter.rate(30) == pytest.approx(500 / 30)
    assert meter.rate(10) == 0


def test_a_total_that_falls_is_no_negative_rate() -> None:
    meter = Meter()
    meter.add(0.0, 100)
    meter.add(10.0, 0)
    assert (meter.rate(10), meter.series(5, 2)) == (0.0, [0.0, 0.0])


def test_what_is_long_ago_is_forgotten() -> None:
    meter = Meter()
    for second in range(0, 5_000, 10):
        meter.add(float(second), second)
    assert len(meter.series(10, 10_000)) == KEPT_SECONDS / 10


def test_quantiles_lie_on_a_straight_line_within_their_bucket() -> None:
    buckets = {0.1: 50, 0.2: 90, 0.4: 100, inf: 100}
    assert quantile(buckets, 0.5) == pytest.approx(0.1)
    assert quantile(buckets, 0.7) == pytest.approx(0.15)
    assert quantile(buckets, 0.99) == pytest.approx(0.38)


def test_beyond_the_last_bound_it_is_the_last_bound() -> None:
    assert quantile({0.1: 0, inf: 5}, 0.5) == 0.1


def test_without_values_there_is_no_quantile() -> None:
    assert quantile({}, 0.5) is None
    assert quantile({0.1: 0, inf: 0}, 0.5) is None


@given(st.lists(st.integers(0, 100), min_size=2, max_size=8), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_a_larger_share_is_not_quicker(counts: list[int], one: float, other: float) -> None:
    bounds = [0.1 * (place + 1) for place in range(len(counts) - 1)] + [inf]
    buckets = {bound: float(sum(counts[: place + 1])) for place, bound in enumerate(bounds)}
    low, high = quantile(buckets, min(one, other)), quantile(buckets, max(one, other))
    assert (low is None) == (high is None) == (sum(counts) == 0)
    if low is not None and high is not None:
        assert low <= high + 1e-9
