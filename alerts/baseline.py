"""What a share usually is at this hour of the week, learnt from the hours themselves. Pure.

An hour is learnt when it is over, unless an alert was open in it. Each week counts for less than the one after it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from alerts.counts import Rules

HOURS = 168
_EMPTY = (0.0,) * HOURS
_EXTRA_FORGETS = 0.995  # an hour's part in what the shares vary beyond chance: some nine days' hours count


class Baseline(msgspec.Struct, frozen=True, gc=False):
    """Of one measure of one series."""

    since: int = -1  # minute from which on it has learnt; -1: nothing yet
    hour: int = -1  # the hour under way, since 1970
    spoilt: bool = False  # an alert was open in it: it will not be learnt
    stays: int = 0  # in the hour under way
    good: int = 0
    share: float = 0.0  # usual share of good ones in the hour under way
    all_stays: tuple[float, ...] = _EMPTY  # by hour of the week
    all_good: tuple[float, ...] = _EMPTY
    beyond: float = 0.0  # what the hours varied beyond chance, and the stays that this was seen on
    beyond_stays: float = 0.0

    def mature(self, minute: int, rules: Rules) -> bool:
        """Has it seen enough weeks to say what is usual?"""
        return 0 <= self.since <= minute - rules.mature

    @property
    def extra(self) -> float:
        """Variance of an hour's share beyond chance, its usual share's own uncertainty included."""
        return max(0.0, self.beyond / self.beyond_stays) if self.beyond_stays else 0.0


@lru_cache(maxsize=4096)
def hour_of_week(hour: int, zone: str) -> int:
    """0 … 167, Monday midnight first, of an hour since 1970, in the zone's own clock."""
    local = datetime.fromtimestamp(hour * 3600, UTC).astimezone(ZoneInfo(zone))
    return local.weekday() * 24 + local.hour


def seen(base: Baseline, minute: int, stays: int, good: int, spoilt: bool, rules: Rules) -> Baseline:
    """The baseline after some stays of a minute; minutes never go back."""
    hour = minute // 60
    if hour != base.hour:
        base = _begin(_learnt(base, rules), minute, rules)
    return Baseline(
        base.since,
        hour,
        base.spoilt or spoilt,
        base.stays + stays,
        base.good + good,
        base.share,
        base.all_stays,
        base.all_good,
        base.beyond,
        base.beyond_stays,
    )


def _begin(base: Baseline, minute: int, rules: Rules) -> Baseline:
    place, share = hour_of_week(minute // 60, rules.zone), 0.0
    if known := sum(base.all_stays):
        prior = rules.prior
        overall = sum(base.all_good) / known
        share = (base.all_good[place] + prior * overall) / (base.all_stays[place] + prior)
    since = minute if base.since < 0 else base.since
    return msgspec.structs.replace(base, since=since, hour=minute // 60, spoilt=False, stays=0, good=0, share=share)


def _learnt(base: Baseline, rules: Rules) -> Baseline:
    """With the hour that is over: what it adds to its hour of the week, and how far it was from what was expected."""
    if base.hour < 0 or base.spoilt or not base.stays:
        return base
    place = hour_of_week(base.hour, rules.zone)
    beyond, beyond_stays = base.beyond, base.beyond_stays
    if 0 < base.share < 1 and base.mature(base.hour * 60, rules):
        # By moments, weighted by the stays: the squared error is share · (1 - share) / stays by chance, and what is beyond.
        error = base.good / base.stays - base.share
        beyond = _EXTRA_FORGETS * beyond + base.stays * error**2 - base.share * (1 - base.share)
        beyond_stays = _EXTRA_FORGETS * beyond_stays + base.stays
    return msgspec.structs.replace(
        base,
        all_stays=_added(base.all_stays, place, base.stays, rules.forgets),
        all_good=_added(base.all_good, place, base.good, rules.forgets),
        beyond=beyond,
        beyond_stays=beyond_stays,
    )


def _added(values: tuple[float, ...], place: int, value: float, forgets: float) -> tuple[float, ...]:
    return (*values[:place], forgets * values[place] + value, *values[place + 1 :])
