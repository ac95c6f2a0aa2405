"""The detector: an EWMA chart over the share of good stays, against the baseline, with its guards. Pure.

A sample is at least `least_sample` stays; its value is how many standard deviations it lies from what was expected of its
stays, each at its own hour's usual share, so hours of any traffic stand on one scale. One side alone alarms: too few good.
"""

from __future__ import annotations

from functools import lru_cache
from math import sqrt

import msgspec

from alerts.baseline import Baseline, seen
from alerts.counts import WEEK, Rules
from schemas.statistics import binomial_lower_tail, ewma, ewma_spread, normal_beyond

CUT = 0.99  # of the chart's width, which the value of a sample may have
BEGINS = 0.25  # of the limit: customers are counted as lost from there on
BACK = 0.5  # of the limit: an alert is over below it


class Run(msgspec.Struct, frozen=True, gc=False):
    """Stays counted together, and what was expected of them."""

    since: int = -1  # minute of the first
    stays: int = 0
    good: int = 0
    expected: float = 0.0  # good ones
    variance: float = 0.0  # of the good ones, by chance alone

    def plus(self, other: Run) -> Run:
        """Both together; the other follows this one."""
        return Run(
            self.since if self.stays else other.since,
            self.stays + other.stays,
            self.good + other.good,
            self.expected + other.expected,
            self.variance + other.variance,
        )

    @property
    def lost(self) -> float:
        """Good ones fewer than expected."""
        return self.expected - self.good


_NONE = Run()


class Chart(msgspec.Struct, frozen=True, gc=False):
    """Of one measure of one series."""

    base: Baseline = Baseline()
    sample: Run = _NONE  # not yet large enough
    average: float = 0.0  # EWMA of the samples' values
    samples: int = 0
    run: Run = _NONE  # since customers began to be lost
    depth: float = 0.0  # the average, in multiples of its limit; at 1 and more it is out of bounds
    alarmed: bool = False


def chance_of_one(charts: int, false_alarms: float) -> float:
    """Probability that a sample may have of alarming for nothing: Bonferroni, over all charts and a week's minutes."""
    return min(0.5, false_alarms / (max(1, charts) * WEEK))


_beyond = lru_cache(maxsize=64)(normal_beyond)


def take(chart: Chart, minute: int, stays: int, good: int, chance: float, rules: Rules) -> Chart:
    """The chart after the stays that began (or fell silent) in `minute`; `chance` is that of a false alarm."""
    base = seen(chart.base, minute, stays, good, chart.alarmed, rules)
    share = base.share
    if not base.mature(minute, rules) or not 0 < share < 1:
        return Chart(base=base)
    counted = Run(minute, stays, good, stays * share, stays * share * (1 - share))
    sample = chart.sample.plus(counted)
    if sample.stays < rules.least_sample:
        return Chart(base, sample, chart.average, chart.samples, chart.run, chart.depth, chart.alarmed)
    return _sampled(chart, base, sample, chance, rules)


def _sampled(chart: Chart, base: Baseline, sample: Run, chance: float, rules: Rules) -> Chart:
    width = max(rules.least_width, _beyond(chance))
    # Cut just inside the limit: no single sample alarms, and after an incident the way back is short.
    value = max(-CUT * width, min(CUT * width, -sample.lost / sqrt(sample.variance)))
    average, samples = ewma(chart.average, value, rules.weight), chart.samples + 1
    # What an hour varies beyond chance is common to its samples: no average over them makes it smaller.
    common = base.extra * sample.stays**2 / sample.variance
    depth = -average / (width * sqrt(ewma_spread(rules.weight, samples) ** 2 + common))
    run = (chart.run if chart.alarmed or _losing(chart, rules) else _NONE).plus(sample)
    if chart.alarmed:
        if depth < BACK:
            return Chart(base)  # begins anew: what it remembers of the incident says nothing about what comes
        return Chart(base, _NONE, average, samples, run, depth, True)
    out = depth > 1 and _certain(run, base.extra, chance, rules)
    return Chart(base, _NONE, average, samples, run, depth, out)


def _losing(chart: Chart, rules: Rules) -> bool:
    """Does a loss go on? It began where the sum of losses beyond half of one that matters was last 0 (Page, 1954)."""
    return chart.depth > BEGINS and chart.run.lost > rules.least_loss / 2 * chart.run.expected


def _certain(run: Run, extra: float, chance: float, rules: Rules) -> bool:
    """The guards: enough stays, enough customers, a loss that matters, and not even a bad hour's exact tail explains it.

    The normal limits of the chart mislead for small shares, and the run was chosen because it looks bad: so the exact tail is
    that of an hour two of its own standard deviations (beyond chance) worse than usual.
    """
    if run.stays < rules.least_stays or run.lost < max(rules.least_lost, rules.least_loss * run.expected):
        return False
    bad_hour = max(0.0, run.expected / run.stays - 2 * sqrt(extra))
    return binomial_lower_tail(run.good, run.stays, bad_hour) <= chance
