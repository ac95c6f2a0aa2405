"""Did a change at a touchpoint help? Before and after it, in the same hours of the week, with an interval."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Literal, NamedTuple

from schemas.statistics import Compared, Stratum, stratified
from sinks.pain.reading import over_steps
from sinks.queries import query
from sinks.reader import Reader

WEEK_MS = 7 * 86_400_000
LEAST_PASSES, LEAST_DROPS = 100, 10  # on either side; in both together. Below, there is not enough data
LEAST_ANSWERS, LEAST_LOW = 30, 10
Verdict = Literal["better", "worse", "no difference beyond chance", "not enough data"]


class Side(NamedTuple):
    """So many of n, in an hour of the week (any number that two sides agree on), before or after."""

    later: bool
    hour: int
    n: int
    had: int
    kind: str = ""


class Effect(NamedTuple):
    """A share after the change minus before it; where there is not enough data `compared` is None."""

    verdict: Verdict
    compared: Compared | None
    after: int  # cases after the change in hours that both sides have
    before: int


class Change(NamedTuple):
    """What a change did. `elsewhere`: other touchpoints of the same stages at that time, which it should not have touched."""

    drop_off: Effect
    low_feedback: Effect
    elsewhere: Effect


def effect(sides: Iterable[Side], least: int, least_had: int) -> Effect:
    """After against before, hour by hour of the week; hours that only one side has do not count."""
    hours: defaultdict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for side in sides:
        place = 0 if side.later else 2
        hours[side.hour, side.kind][place] += side.had
        hours[side.hour, side.kind][place + 1] += side.n
    strata = [one for one in (Stratum(*counts) for counts in hours.values()) if one.n and one.other_n]
    after, before = sum(one.n for one in strata), sum(one.other_n for one in strata)
    had = sum(one.had + one.other_had for one in strata)
    if min(after, before) < least or had < least_had:
        return Effect("not enough data", None, after, before)
    compared = stratified(strata)
    assert compared
    verdict: Verdict = "better" if compared.high < 0 else "worse" if compared.low > 0 else "no difference beyond chance"
    return Effect(verdict, compared, after, before)


def change(
    reader: Reader, definition: str, touchpoint: str, channel: str, moment: int, weeks: int, zone: str, now: int
) -> Change:
    """What happened at a touchpoint (of all channels: "") up to so many weeks before and after `moment`; times in ms UTC.

    Raises the driver's errors.
    """
    first, last = moment - weeks * WEEK_MS, moment + weeks * WEEK_MS
    asked = {
        "definition": definition, "touchpoint": touchpoint, "channel": channel, "moment": moment, "zone": zone,
        "first": first, "last": last,
    }  # fmt: skip
    # a journey may have begun long before the step that counts
    rows = reader.ask(over_steps("pain_change"), {**asked, "since": 0, "now": now}).rows
    said = reader.ask(query("pain_change_answers"), asked).rows
    here = [Side(bool(later), hour, n, had) for is_here, later, hour, n, had in rows if is_here]
    others = [Side(bool(later), hour, n, had) for is_here, later, hour, n, had in rows if not is_here]
    answers = [Side(bool(later), hour, n, low, kind) for later, kind, hour, n, low in said]
    return Change(
        effect(here, LEAST_PASSES, LEAST_DROPS),
        effect(answers, LEAST_ANSWERS, LEAST_LOW),
        effect(others, LEAST_PASSES, LEAST_DROPS),
    )
