"""Where it hurts: touchpoints ranked by severity × reach × what it costs. Pure: counts in, ranking out.

Whoever passes a touchpoint is compared with those who were at the same point of their journey and passed another one: same
stage, entry channel and touchpoint before, if most of its passes have enough of them; else same stage and entry channel; else
same stage. So it does not look painful because customers pass it who leave more anyway. Many touchpoints are looked at at
once, so every interval is as wide as holds for all of them together (Bonferroni): where nothing hurts, the whole ranking
calls nothing a pain point in 39 of 40 cases or more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from schemas.statistics import CONFIDENCE, Compared, Stratum, stratified

LEAST_PASSES = 50  # of a touchpoint, and as many comparable ones: below, nothing is said
LEAST_ANSWERS = 20
# Others' passes that suit a group: so many, and so many for each of its own, else few stand for many. Groups are as fine
# as suits this share of a touchpoint's passes.
LEAST_COMPARABLE, PER_PASS, MOST = 20, 0.25, 0.8
# What each sign of pain counts, as a share of losing the customer. Ours: four who rate it badly weigh as much as two lost.
WEIGHTS = {"low_feedback": 0.5, "escalations": 0.2, "repeats": 0.1, "waits": 0.1}
Place = tuple[str, str]  # channel, name of the touchpoint


class Cell(NamedTuple):
    """Passes of a touchpoint that have one thing in common, and what came of them. `passes` are decided: gone on or silent."""

    channel: str
    touchpoint: str
    stage: int
    entry_channel: str
    before: str
    passes: int
    dropped: int  # silent beyond the patience, and not back
    followed: int
    repeated: int  # of those followed: by itself
    waited: int  # longer than nine of ten at that stage
    escalated: int  # by the call center, from another channel
    reached: int  # and the journey reached its goal

    @property
    def place(self) -> Place:
        return self.channel, self.touchpoint


class Answers(NamedTuple):
    """Answers of one kind about a touchpoint, and how many of them are low."""

    channel: str
    touchpoint: str
    kind: str
    answers: int
    low: int


class Counts(NamedTuple):
    """Everything that a ranking is made of."""

    cells: Sequence[Cell]
    answers: Sequence[Answers]
    journeys: Mapping[Place, tuple[int, int]]  # → stage, journeys that passed it
    completed: int  # journeys that reached their goal
    value: Mapping[str, int]  # of those, minor units by currency


class PainPoint(NamedTuple):
    """A touchpoint in the ranking. Shares are compared with those of comparable journeys; None: too few of either."""

    channel: str
    touchpoint: str
    stage: int
    journeys: int  # that passed it
    severity: float  # share of those who pass it that is lost, or hurt as much; see WEIGHTS
    lost: float  # journeys that would have reached their goal if no more left after it than after comparable ones
    cost: Mapping[str, int]  # what those would have brought in, minor units by currency
    pain: float  # what the ranking goes by: severity × reach × the share that reaches the goal; customers lost or as good as
    drop_off: Compared | None
    low_feedback: Compared | None
    repeats: Compared | None
    waits: Compared | None
    escalations: Compared | None

    @property
    def leaves(self) -> bool:
        """More leave after it than after comparable ones, beyond chance."""
        return self.drop_off is not None and self.drop_off.worse

    @property
    def hurts(self) -> bool:
        """It is a pain point: more leave, or it is rated lower than others, beyond chance."""
        return self.leaves or (self.low_feedback is not None and self.low_feedback.worse)


def ranking(counts: Counts, confidence: float = CONFIDENCE) -> list[PainPoint]:
    """Every touchpoint: first those after which customers leave, then those that are only rated low, which may be
    for what was before, then the others; each by `pain`. `confidence` is of all calls together."""
    by_stage: defaultdict[int, list[Cell]] = defaultdict(list)
    for cell in counts.cells:
        by_stage[cell.stage].append(cell)
    drop_offs = {place: _strata(place, by_stage, _DROPPED) for place in counts.journeys}
    felt = {place: _answered(place, counts.answers) for place in counts.journeys}
    drop_offs = {place: strata for place, strata in drop_offs.items() if _enough(strata, LEAST_PASSES)}
    felt = {place: strata for place, strata in felt.items() if _enough(strata, LEAST_ANSWERS)}
    sure = 1 - (1 - confidence) / max(1, len(drop_offs) + len(felt))
    points = []
    for place in counts.journeys:
        drop_off, low = stratified(drop_offs.get(place, ()), sure), stratified(felt.get(place, ()), sure)
        signs = {
            name: stratified(strata, sure)
            for name, measure in _SIGNS.items()
            if _enough(strata := _strata(place, by_stage, measure), LEAST_PASSES)
        }
        points.append(_point(place, counts, drop_off, low, signs))
    return sorted(points, key=lambda one: (not one.leaves, not one.hurts, -one.pain, one.channel, one.touchpoint))


def _point(
    place: Place,
    counts: Counts,
    drop_off: Compared | None,
    low: Compared | None,
    signs: Mapping[str, Compared | None],
) -> PainPoint:
    stage, journeys = counts.journeys[place]
    # Of the other signs only what is beyond chance counts: who waits or repeats as others do is not hurt.
    severity = (drop_off.estimate if drop_off else 0.0) + sum(
        WEIGHTS[name] * max(0.0, sign.low) for name, sign in {**signs, "low_feedback": low}.items() if sign
    )
    followed = sum(cell.followed for cell in counts.cells if cell.place == place)
    reached = sum(cell.reached for cell in counts.cells if cell.place == place)
    worth = journeys * (reached / followed if followed else 1.0)  # who reaches the goal from here on
    lost = max(0.0, drop_off.estimate) * worth if drop_off else 0.0
    return PainPoint(
        channel=place[0],
        touchpoint=place[1],
        stage=stage,
        journeys=journeys,
        severity=severity,
        lost=lost,
        cost={currency: round(lost * sum_ / counts.completed) for currency, sum_ in counts.value.items() if sum_ > 0},
        pain=severity * worth,
        drop_off=drop_off,
        low_feedback=low,
        repeats=signs.get("repeats"),
        waits=signs.get("waits"),
        escalations=signs.get("escalations"),
    )


class _Measure(NamedTuple):
    had: Callable[[Cell], int]
    of: Callable[[Cell], int]


_DROPPED = _Measure(lambda cell: cell.dropped, lambda cell: cell.passes)
_SIGNS = {
    "repeats": _Measure(lambda cell: cell.repeated, lambda cell: cell.followed),
    "waits": _Measure(lambda cell: cell.waited, lambda cell: cell.followed),
    "escalations": _Measure(lambda cell: cell.escalated, lambda cell: cell.followed),
}
_LEVELS: tuple[Callable[[Cell], tuple[object, ...]], ...] = (
    lambda cell: (cell.entry_channel, cell.before),
    lambda cell: (cell.entry_channel,),
    lambda _: (),
)


def _strata(place: Place, by_stage: Mapping[int, Sequence[Cell]], measure: _Measure) -> list[Stratum]:
    """The passes of a touchpoint beside comparable ones: by stage, in the finest groups that suit most of its passes."""
    found: list[Stratum] = []
    for cells in by_stage.values():
        passes = sum(measure.of(cell) for cell in cells if cell.place == place)
        for level in _LEVELS if passes else ():
            groups = _groups(place, cells, measure, level)
            suited = sum(one.n for one in groups if one.other_n >= max(LEAST_COMPARABLE, PER_PASS * one.n))
            if suited >= MOST * passes or level is _LEVELS[-1]:
                found += groups
                break
    return sorted(found)  # however the cells came, sums of numbers end in the same digit


def _groups(
    place: Place, cells: Iterable[Cell], measure: _Measure, level: Callable[[Cell], tuple[object, ...]]
) -> list[Stratum]:
    counts: defaultdict[tuple[object, ...], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for cell in cells:
        side = 0 if cell.place == place else 2
        group = counts[level(cell)]
        group[side] += measure.had(cell)
        group[side + 1] += measure.of(cell)
    return [Stratum(*group) for group in counts.values() if group[1]]


def _answered(place: Place, answers: Iterable[Answers]) -> list[Stratum]:
    """Answers about a touchpoint beside those of the same kind about others."""
    kinds: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for one in answers:
        side = 0 if (one.channel, one.touchpoint) == place else 2
        kinds[one.kind][side] += one.low
        kinds[one.kind][side + 1] += one.answers
    return sorted(Stratum(*counts) for counts in kinds.values() if counts[1])


def _enough(strata: Sequence[Stratum], least: int) -> bool:
    compared = [one for one in strata if one.n and one.other_n]
    return sum(one.n for one in compared) >= least <= sum(one.other_n for one in compared)
