"""What is counted in each minute, and how the watch is set. Pure data; a minute is a number of minutes since 1970, UTC.

A *stay* is one unbroken time of a journey at a stage: from the touchpoint that brought it there until the last one before
another stage, or before silence. A touchpoint without a stage belongs to the stay that it falls in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from schemas.alert import Measure

MINUTE_MS = 60_000
WEEK = 7 * 24 * 60  # minutes


class Series(NamedTuple):
    """What is watched: a stage (its rank) of a journey definition, in one channel."""

    journey: str
    stage: int
    channel: str


class Key(NamedTuple):
    """One chart: a series and what is measured of it."""

    series: Series
    measure: Measure

    def __str__(self) -> str:
        return "·".join((self.series.journey, str(self.series.stage), self.series.channel, self.measure))

    def related(self, other: Key) -> bool:
        """Would one cause be likely for both? The same channel, or the same stage in any channel."""
        one, two = self.series, other.series
        return one.channel == two.channel or (one.journey, one.stage) == (two.journey, two.stage)


class Counts(msgspec.Struct, frozen=True, gc=False):
    """One minute of one series.

    Progress belongs to the channel in which a stay began, drop-off to the channel of its last touchpoint.
    """

    entered: int = 0  # stays that began in this minute
    progressed: tuple[
        tuple[int, int], ...
    ] = ()  # (age, stays): reached a later stage in this minute, having begun age before
    decided: int = 0  # stays before the goal whose last touchpoint is one patience old in this minute
    dropped: int = 0  # of those: nothing followed


class Rules(msgspec.Struct, frozen=True):
    """How the watch is set. The defaults are measured: docs/decisions/alerts.md."""

    patience: Mapping[tuple[str, int], int] = {}  # (journey, stage) → minutes; a stage that is not in it is not watched
    zone: str = "UTC"  # IANA; hours of the week are this zone's
    weight: float = 0.2  # of the newest sample in the average
    false_alarms: float = 0.1  # per week, over all series together, that pure chance may raise
    least_width: float = 3.0  # standard deviations; never narrower, however few series there are
    least_sample: int = 10  # stays that make a sample
    least_stays: int = 20  # stays that an alert rests on
    least_lost: float = 5.0  # customers fewer than usual that an alert rests on
    least_loss: float = 0.1  # share of the usual ones that is missing: less is no incident, however certain
    learns_time: int = WEEK  # minutes of history that a stage's usual time is learnt from, and reviewed after
    mature: int = 3 * WEEK  # minutes of baseline below which a series is too young
    forgets: float = 0.8  # what an hour of the week keeps of its past when a new week is added
    prior: float = 50.0  # stays that the series as a whole counts for, beside what the hour itself has shown
    settles: int = WEEK  # minutes after which what an open alert says is the new usual
