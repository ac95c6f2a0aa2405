"""One series, minute by minute: who entered, who moved on within the usual time, who dropped off. Pure.

Those who entered are judged together when the usual time has passed for all of them: whoever is younger says nothing yet.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from alerts.ages import added, usual_time
from alerts.chart import Chart
from alerts.counts import Counts, Rules, Series
from schemas.alert import Measure

BINS = 60  # those who entered are kept in at most so many groups: of long usual times several minutes go together
CHANGED = 1.5  # a usual time that changed by this factor makes all shares before incomparable
NOTHING = Counts()


class Watched(msgspec.Struct, frozen=True, gc=False):
    """What is remembered of one series."""

    ages: tuple[float, ...] = ()
    review: int = -1  # minute in which the usual time is told (again)
    usual: int = 0  # the usual time in minutes; 0: not known yet
    first: int = 0  # number of the first group in `groups`
    groups: tuple[tuple[int, int], ...] = ()  # (entered, of them moved on within the usual time), not yet judged
    progress: Chart = Chart()
    drop_off: Chart = Chart()

    def chart(self, measure: Measure) -> Chart:
        return self.progress if measure == "progress" else self.drop_off

    def with_chart(self, measure: Measure, chart: Chart) -> Watched:
        if measure == "progress":
            return msgspec.structs.replace(self, progress=chart)
        return msgspec.structs.replace(self, drop_off=chart)

    @property
    def width(self) -> int:
        """Minutes of a group."""
        return -(-self.usual // BINS)


class Judged(msgspec.Struct, frozen=True, gc=False):
    """Stays whose outcome is known: `minute` is when they began, or when those that dropped off were last heard of."""

    measure: Measure
    minute: int
    stays: int
    good: int


def counted(
    watched: Watched, series: Series, minute: int, counts: Counts, rules: Rules
) -> tuple[Watched, list[Judged]]:
    """The series after a minute, its charts as they were, and what is to be charted, in the order of time."""
    patience = rules.patience[series.journey, series.stage]
    ages = added(watched.ages, counts.progressed) if counts.progressed else watched.ages
    if watched.review < 0:
        watched = msgspec.structs.replace(watched, review=minute + rules.learns_time)
    if minute >= watched.review:
        watched = _reviewed(watched, ages, minute, patience, rules)
        ages = watched.ages
    judged: list[Judged] = []
    first, groups = watched.first, watched.groups
    if watched.usual:
        first, groups = _grouped(watched, minute, counts)
        done = max(0, (minute - watched.usual + 1) // watched.width - first)
        judged = list(_progress(groups[:done], first, watched.width))
        first, groups = first + done, groups[done:]
    if counts.decided:
        judged.append(Judged("drop_off", minute - patience, counts.decided, counts.decided - counts.dropped))
    return (
        Watched(ages, watched.review, watched.usual, first, groups, watched.progress, watched.drop_off),
        judged,
    )


def _reviewed(watched: Watched, ages: tuple[float, ...], minute: int, patience: int, rules: Rules) -> Watched:
    """The usual time told again. Where it changed much, progress is learnt anew."""
    watched = msgspec.structs.replace(watched, review=minute + rules.learns_time, ages=ages)
    usual = usual_time(ages, patience)
    if usual is None:
        return watched
    watched = msgspec.structs.replace(watched, ages=tuple(stays / 2 for stays in ages))
    if watched.usual and 1 / CHANGED <= usual / watched.usual <= CHANGED:
        return watched
    watched = msgspec.structs.replace(watched, usual=usual, groups=(), progress=Chart())
    return msgspec.structs.replace(watched, first=minute // watched.width + 1)  # the group under way is not whole


def _grouped(watched: Watched, minute: int, counts: Counts) -> tuple[int, tuple[tuple[int, int], ...]]:
    """The groups with this minute's counts; there is one for each width of time, empty or not."""
    width, first = watched.width, watched.first
    under_way = minute // width
    groups = watched.groups
    if not counts.entered and not counts.progressed and under_way < first + len(groups):
        return first, groups
    changed = list(groups)
    changed.extend([(0, 0)] * (under_way + 1 - first - len(changed)))
    if counts.entered and under_way >= first:
        entered, moved = changed[under_way - first]
        changed[under_way - first] = entered + counts.entered, moved
    for age, stays in counts.progressed:
        place = (minute - age) // width - first
        if age <= watched.usual and place >= 0:
            entered, moved = changed[place]
            changed[place] = entered, moved + stays
    return first, tuple(changed)


def _progress(groups: tuple[tuple[int, int], ...], first: int, width: int) -> Iterator[Judged]:
    for number, (entered, moved) in enumerate(groups, first):
        if entered:
            # a late touchpoint may show a stay's end before its beginning: never more moved on than entered
            yield Judged("progress", number * width, entered, min(moved, entered))
