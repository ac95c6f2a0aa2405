"""The watch over all series: `step` takes one minute's counts and says which alerts open, widen and are resolved. Pure.

The state is a function of the counts since it began: live and backtest are the same, and a process that starts again walks
through the stored minutes instead of remembering anything.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from alerts.causes import Alarm, Cause, Told, alert, joined, known, lasting
from alerts.chart import Chart, Run, chance_of_one, take
from alerts.counts import Counts, Key, Rules, Series
from alerts.series import NOTHING, Watched, counted
from schemas.alert import Alert, Measure

MEASURES: tuple[Measure, ...] = ("progress", "drop_off")


class State(msgspec.Struct, frozen=True, gc=False):
    """Everything that the watch remembers."""

    minute: int = -1  # the last one taken
    series: Mapping[Series, Watched] = {}
    charts: int = 0  # old enough to alarm, after that minute
    causes: tuple[Cause, ...] = ()  # open
    told: tuple[Told, ...] = ()  # resolved, as long as drop-offs of that time are still to come


def step(state: State, minute: int, counts: Mapping[Series, Counts], rules: Rules) -> tuple[State, list[Alert]]:
    """One minute, each exactly once and in their order; a series that is not in `counts` had nothing."""
    if state.minute >= 0 and minute != state.minute + 1:
        raise ValueError(f"after minute {state.minute} comes the next one, not {minute}")
    series: dict[Series, Watched] = {}
    alarms: list[Alarm] = []
    alarmed: set[Key] = set()
    runs: dict[Key, Run] = {}
    charts = 0
    chance = chance_of_one(state.charts, rules.false_alarms)
    for one in [*state.series, *sorted(counts.keys() - state.series.keys())]:
        if (one.journey, one.stage) not in rules.patience:
            continue
        before = state.series.get(one, _NEW)
        after = series[one] = _charted(before, one, minute, counts.get(one, NOTHING), state.told, chance, rules)
        for measure in MEASURES:
            chart = after.chart(measure)
            charts += chart.base.mature(minute, rules)
            if chart.alarmed:
                key = Key(one, measure)
                alarmed.add(key)
                runs[key] = chart.run
                if not before.chart(measure).alarmed:
                    alarms.append(Alarm(key, chart.depth, chart.run))
    going_on, over = lasting(state.causes, alarmed, runs, minute, rules)
    causes, changes = joined(going_on, alarms, minute)
    told = state.told
    for cause, settled in over:
        changes.append(alert(cause, "resolved", minute, settled))
        told = (*told, Told(cause.members, cause.run.since, minute))
        for member in cause.members if settled else ():
            series[member.series] = series[member.series].with_chart(member.measure, Chart())
    if told and minute % 60 == 0:
        longest = max(rules.patience.values())
        told = tuple(one for one in told if minute - one.until <= longest)
    return State(minute, series, charts, causes, told), changes


_NEW = Watched()


def _charted(
    before: Watched, series: Series, minute: int, counts: Counts, told: tuple[Told, ...], chance: float, rules: Rules
) -> Watched:
    after, judged = counted(before, series, minute, counts, rules)
    for one in judged:
        if not (told and known(told, Key(series, one.measure), one.minute)):
            chart = take(after.chart(one.measure), one.minute, one.stays, one.good, chance, rules)
            after = after.with_chart(one.measure, chart)
    return after
