"""The one rule for when a transaction starts."""

from __future__ import annotations

import pytest

from runtime.chunked.settings import StoreSettings


@pytest.mark.parametrize(
    ("commit_seconds", "interval"),
    [(0.0, 0.05), (0.02, 0.05), (0.04, 0.08), (0.1, 0.2), (1.0, 0.2)],
)
def test_the_interval_follows_the_load_within_its_bounds(commit_seconds: float, interval: float) -> None:
    assert StoreSettings(interval_idle=0.05, interval_busy=0.2).interval(commit_seconds, 0, 0) == pytest.approx(
        interval
    )


def test_many_records_a_second_are_load_however_quick_transactions_are() -> None:
    settings = StoreSettings(interval_idle=0.05, interval_busy=0.2, busy=1_000)
    assert [settings.interval(0.0, 0, rate) for rate in (0, 1_000, 1_001)] == [0.05, 0.05, 0.2]


def test_equal_bounds_fix_it() -> None:
    fixed = StoreSettings(interval_idle=0.2, interval_busy=0.2)
    assert [fixed.interval(seconds, 0, 0) for seconds in (0, 0.01, 5)] == [0.2, 0.2, 0.2]


def test_a_backlog_waits_for_a_full_batch() -> None:
    settings = StoreSettings(backlog=100, interval_backlog=2.0)
    assert settings.interval(0.0, 100, 0) == settings.interval_idle
    assert settings.interval(0.0, 101, 0) == 2.0
