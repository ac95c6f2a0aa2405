"""The watch over stored minutes: what a backtest tells, and what a process that starts learns from. Reads, writes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from alerts import reading
from alerts.counts import WEEK, Rules
from alerts.settings import AlertSettings
from alerts.watch import State, step
from schemas.alert import Alert
from sinks.reader import Reader

DAY = 1440


def rules(reader: Reader, settings: AlertSettings) -> Rules:
    """How the watch is set: the stages of the live generation, and the settings. Raises clickhouse_driver's errors."""
    return Rules(
        patience=reading.patience(reader),
        zone=settings.timezone,
        false_alarms=settings.false_alarms,
        least_loss=settings.least_loss,
    )


def walk(
    reader: Reader, state: State, first: int, last: int, rules: Rules, settings: AlertSettings
) -> Iterator[tuple[State, list[Alert]]]:
    """The state after each of these minutes, and what was said in it. Raises clickhouse_driver's errors."""
    for minute, counts in reading.minutes(reader, first, last, settings.look_back_days * DAY):
        state, said = step(state, minute, counts, rules)
        yield state, said


def learning_from(minute: int, settings: AlertSettings) -> int:
    """The minute that the history before another one begins with."""
    return max(0, minute - settings.history_weeks * WEEK)
