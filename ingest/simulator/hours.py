"""When people eat tacos: hours of the day and days of the week in Mexico City, as plain arithmetic on ms UTC."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.simulator.chance import Chance
from ingest.simulator.scenario import DAY, HOUR, MINUTE, Scenario

# Mexico City abolished daylight saving in 2022: the zone is this offset.
_OFFSET = -6 * HOUR
_MONDAY = 4 * DAY  # 1970-01-05
# How often people first think of tacos, by local hour and from Monday to Sunday.
_BY_HOUR = (1, 0.5, 0.2, 0.1, 0.1, 0.2, 0.6, 1, 2, 2.5, 3, 4, 6, 7, 6, 4, 3, 4, 6, 8, 8, 6, 4, 2)
_BY_DAY = (0.7, 0.7, 0.8, 0.9, 1.3, 1.5, 1.1)
_MEALS = (13, 14, 15, 19, 20, 21)
_MEAL_WEIGHTS = (0.14, 0.18, 0.12, 0.16, 0.24, 0.16)


def _interest(at: int) -> float:
    local = at + _OFFSET
    return _BY_HOUR[local // HOUR % 24] * _BY_DAY[(local - _MONDAY) // DAY % 7]


def arrivals(scenario: Scenario) -> Iterator[int]:
    """The moments at which the customers appear, in order, following the hours of the week; holds none of them.

    The next smallest of n remaining uniform numbers is drawn from the smallest's own distribution, so the exact number
    of customers comes out sorted.
    """
    chance = Chance(scenario.seed, "arrivals")
    end = scenario.start + scenario.duration
    total, hour = 0.0, scenario.start
    while hour < end:
        total += _interest(hour) * min(HOUR, end - hour)
        hour += HOUR
    hour, before = scenario.start, 0.0
    weight = _interest(hour)
    share = 0.0
    for left in range(scenario.customers, 0, -1):
        share += (1 - share) * (1 - (1 - chance.draw()) ** (1 / left))
        while before + weight * HOUR < share * total and hour + HOUR < end:
            before += weight * HOUR
            hour += HOUR
            weight = _interest(hour)
        yield min(end - 1, int(hour + (share * total - before) / weight))


def next_meal(after: int, days: int, chance: Chance) -> int:
    """A time to be seated: a meal `days` from that day on, at least an hour away."""
    midnight = (after + _OFFSET) // DAY * DAY - _OFFSET
    at = midnight + days * DAY + chance.weighted(_MEALS, _MEAL_WEIGHTS) * HOUR + int(chance.between(0, 60) * MINUTE)
    return at if at >= after + HOUR else at + DAY


def weekend(after: int) -> int:
    """Days until the next Saturday or Sunday, 0 on one."""
    return max(0, 5 - (after + _OFFSET - _MONDAY) // DAY % 7)


def awake(at: int) -> int:
    """The same time, or later that morning if it is night."""
    return at + 8 * HOUR if (at + _OFFSET) // HOUR % 24 < 8 else at
