"""Half a year of a company's minutes, with incidents planted, counted as ClickHouse would count them.

Customers flow through the stages of three channels with the rhythm of a week. What real life adds to pure chance is in it:
better and worse days and hours, campaigns that bring many who buy little, a slow drift, a release after which people behave
otherwise. Deterministic for a seed.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from itertools import accumulate
from math import exp, log
from random import Random
from typing import NamedTuple

from alerts.counts import WEEK, Counts, Rules, Series

DAY = 1440
MONDAY = 4 * DAY + 2870 * WEEK  # 2025-01-06, UTC
WEEKS, CLEAN = 26, 6
LASTS = 30  # minutes of an incident
LEAST_CHECKOUTS = 10.0  # a minute, expected all through an incident
RESEARCH, CONSIDERATION, DECISION, PURCHASE, USE = 2, 3, 4, 5, 6
STAGES = (RESEARCH, CONSIDERATION, DECISION, PURCHASE, USE)
GOAL = PURCHASE
PATIENCE = {RESEARCH: 3 * DAY, CONSIDERATION: 2 * DAY, DECISION: DAY, PURCHASE: 14 * DAY, USE: 30 * DAY}
MOVES_ON = {RESEARCH: 0.80, CONSIDERATION: 0.85, DECISION: 0.90, PURCHASE: 0.97, USE: 0.30}
# Median minutes until they move on, and spread of the logarithm: browsing, comparing, a form to fill, a delivery, a survey.
TAKES = {RESEARCH: (4, 0.9), CONSIDERATION: (5, 0.9), DECISION: (2.5, 0.6), PURCHASE: (25, 0.4), USE: (300, 0.6)}
ARRIVALS = {"web": 10.5, "app": 10.0, "call_center": 0.8}  # a minute, on average over the week
_BY_HOUR = (1, 0.5, 0.2, 0.1, 0.1, 0.2, 0.6, 1, 2, 2.5, 3, 4, 6, 7, 6, 4, 3, 4, 6, 8, 8, 6, 4, 2)
_BY_DAY = (0.7, 0.7, 0.8, 0.9, 1.3, 1.5, 1.1)
_MEAN = sum(_BY_HOUR) / 24 * sum(_BY_DAY) / 7
_GOES_BACK = 0.2  # of those who do not move on: to an earlier stage instead of silence
RULES = Rules(patience={("purchase", stage): minutes for stage, minutes in PATIENCE.items()})


class Incident(NamedTuple):
    """Half of the checkouts of a channel fail from minute `start` on, `LASTS` minutes long."""

    start: int
    channel: str


def rhythm(minute: int) -> float:
    """Traffic at this minute of the week, 1 on average."""
    of_week = (minute - MONDAY) % WEEK
    hour, part = divmod(of_week % DAY, 60)
    after = _BY_HOUR[(hour + 1) % 24]
    return (_BY_HOUR[hour] * (60 - part) + after * part) / 60 * _BY_DAY[of_week // DAY] / _MEAN


def incidents(seed: int) -> list[Incident]:
    """One in each week after the clean ones, at a random minute with enough expected checkouts until its end."""
    chance = Random(f"incidents {seed}")
    found = []
    reach = MOVES_ON[RESEARCH] * MOVES_ON[CONSIDERATION]
    for week in range(CLEAN, WEEKS):
        while True:
            channel = chance.choice(("web", "app"))
            start = MONDAY + week * WEEK + chance.randrange(WEEK - 120)
            if min(rhythm(start), rhythm(start + LASTS)) * ARRIVALS[channel] * reach >= LEAST_CHECKOUTS:
                found.append(Incident(start, channel))
                break
    return found


class _Luck:
    """What the day and the hour do to a channel: factors on its traffic and on the odds of moving on."""

    def __init__(self, seed: int, channel: str) -> None:
        self._chance = Random(f"luck {seed} {channel}")
        self._day = (0.0, 0.0)
        self.traffic = self.odds = 1.0
        self._campaigns = {(self._chance.randrange(WEEKS * 7), self._chance.choice((12, 18, 20))) for _ in range(8)}

    def hour(self, number: int) -> None:
        """Begin the hour `number` of the history."""
        normal = self._chance.gauss
        day, of_day = divmod(number, 24)
        if of_day == 0:
            self._day = normal(0, 0.15), normal(0, 0.08)
        campaign = any((day, of_day - ago) in self._campaigns for ago in range(3))
        weeks = day / 7
        moved = self._day[1] + normal(0, 0.05) - 0.2 * weeks / WEEKS + (0.15 if weeks >= 15 else 0) - 0.2 * campaign
        self.traffic = exp(self._day[0] + normal(0, 0.08)) * (1.6 if campaign else 1)
        self.odds = exp(moved)


def history(seed: int, planted: list[Incident], weeks: int = WEEKS) -> Iterator[tuple[int, Mapping[Series, Counts]]]:
    """(minute, counts by series), every minute."""
    chance = Random(f"customers {seed}")
    luck = {channel: _Luck(seed, channel) for channel in ARRIVALS}
    delays = {stage: _delays(*takes) for stage, takes in TAKES.items()}
    # minute → (channel, stage that is left, age) and minute → further arrivals
    moving: defaultdict[int, list[tuple[str, int, int]]] = defaultdict(list)
    coming: defaultdict[int, list[tuple[str, int]]] = defaultdict(list)
    silent = {(c, s): deque([(0, 0)] * PATIENCE[s]) for c in ARRIVALS for s in STAGES if s < GOAL}
    failing = {(one.channel, one.start + i) for one in planted for i in range(LASTS)}
    draw = chance.random
    for minute in range(MONDAY, MONDAY + weeks * WEEK):
        if minute % 60 == 0:
            for one in luck.values():
                one.hour((minute - MONDAY) // 60)
        entered: defaultdict[tuple[str, int], int] = defaultdict(int)
        moved: defaultdict[tuple[str, int], defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))
        level = rhythm(minute)
        for channel, mean in ARRIVALS.items():
            entered[channel, RESEARCH] = _poisson(chance, mean * level * luck[channel].traffic)
        for channel, stage, age in moving.pop(minute, ()):
            moved[channel, stage][age] += 1
            if stage != USE:
                entered[channel, stage + 1] += 1
        for channel, stage in coming.pop(minute, ()):
            entered[channel, stage] += 1
        counts: dict[Series, Counts] = {}
        for (channel, stage), gone_silent in [((c, s), silent.get((c, s))) for c in ARRIVALS for s in STAGES]:
            n = entered[channel, stage]
            odds = MOVES_ON[stage] / (1 - MOVES_ON[stage]) * luck[channel].odds
            share = odds / (1 + odds)
            going = sum(draw() < share for _ in range(n))
            values, weights = delays[stage]
            away = sum(draw() < _GOES_BACK for _ in range(n - going))
            for age in chance.choices(values, cum_weights=weights, k=going):
                if stage == DECISION and (channel, minute + age) in failing and draw() < 0.5:
                    what = draw()
                    if what < 0.4:
                        away += 1
                        coming[minute + age + 3].append(
                            (channel, RESEARCH) if what < 0.2 else ("call_center", DECISION)
                        )
                    going -= 1
                else:
                    moving[minute + age].append((channel, stage, age))
            decided = dropped = 0
            if gone_silent is not None:
                gone_silent.append((n, n - going - away))
                decided, dropped = gone_silent.popleft()
            ages = tuple(moved[channel, stage].items())
            if n or ages or decided:
                counts[Series("purchase", stage, channel)] = Counts(n, ages, decided, dropped)
        yield minute, counts


def _delays(median: float, spread: float) -> tuple[list[int], list[float]]:
    """Whole minutes and their cumulative weights, of a log-normal time cut at a day."""
    values = list(range(min(DAY, int(median * exp(3 * spread)) + 1)))
    weights = [exp(-((log((value + 0.5) / median) / spread) ** 2) / 2) / (value + 0.5) for value in values]
    return values, list(accumulate(weights))


def _poisson(chance: Random, mean: float) -> int:
    """By multiplying uniform numbers (Knuth); means here are below 100."""
    limit, product, count = exp(-mean), chance.random(), 0
    while product > limit:
        product *= chance.random()
        count += 1
    return count
