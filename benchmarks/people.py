"""What the identity leg would have said of many people on their journeys, for benchmarks of what comes after it.

People walk at the same time in random turns, so that a partition's records are in the order of time over all of them. A person
stays on a stage for some touchpoints, then moves on: `MOVES_ON` of them change the stage. Deterministic.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from math import log
from typing import NamedTuple

from schemas.definition import GOAL, STARTS
from schemas.topics import HOUR

START = 1_767_225_600_000  # 2026-01-01, ms UTC
MOVES_ON = 0.4

# (channel, names) by stage of the default definition, from rank 1; a path begins at the first and ends with its length.
_STAGES = (
    ("ads", ("ad_clicked", "ad_seen")),
    ("web", ("menu_viewed", "search", "page_view")),
    ("web", ("product_viewed", "review_read", "compared")),
    ("web", ("cart", "checkout", "ordered")),
    ("store", ("paid",)),
    ("app", ("delivered", "meal_rated")),
    ("call_center", ("call_started", "complaint")),
    ("email", ("survey_answered", "recommended")),
)
_PURCHASE = 5


class Moment(NamedTuple):
    """One touchpoint: the number of its person and its own, when (ms UTC), and what."""

    person: int
    number: int
    at: int
    channel: str
    name: str
    rule: int  # what the default definition says of it

    @property
    def person_id(self) -> str:
        return f"{(self.person + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC835 & (1 << 128) - 1:032x}"

    @property
    def event_id(self) -> str:
        return f"{(self.number + 1) * 0xC2B2AE3D27D4EB4F165667B19E3779F9 & (1 << 128) - 1:032x}"


def moments(
    touchpoints: int, *, under_way: int = 100_000, mean_path: float = 10, known: float = 0.3, seed: int = 1
) -> Iterator[Moment]:
    """Touchpoints in the order of time; `known` is the share of paths that a person walks who has walked one before.

    The same person's next touchpoint comes a quarter of an hour later in the mean.
    """
    chance = random.Random(seed)
    step = HOUR / 4 / under_way
    people, left, stages = [0] * under_way, [0] * under_way, [0] * under_way
    seen = 0
    stays = log(1 - 1 / mean_path)
    for number in range(touchpoints):
        slot = int(chance.random() * under_way)
        if not left[slot]:
            if seen and chance.random() < known:
                people[slot] = int(chance.random() * seen)
            else:
                people[slot], seen = seen, seen + 1
            left[slot] = 1 + int(log(1 - chance.random()) / stays)
            stages[slot] = 1
        elif stages[slot] < len(_STAGES) and chance.random() < MOVES_ON:
            stages[slot] += 1
        left[slot] -= 1
        rank = stages[slot]
        channel, names = _STAGES[rank - 1]
        yield Moment(
            people[slot],
            number,
            START + int(number * step),
            channel,
            names[number % len(names)],
            rank | STARTS | (GOAL if rank == _PURCHASE else 0),
        )


def assigned(moment: Moment) -> bytes:
    """As the `people` topic holds it, byte for byte as `schemas.person.Assigned` is encoded."""
    return (
        b'{"said":"assigned","person_id":"%b","event_id":"%b","revision":0,"move":1,"arrived":%d,'
        b'"record":{"at":%d,"channel":"%b","name":"%b","rules":[%d]}}'
    ) % (
        moment.person_id.encode(),
        moment.event_id.encode(),
        moment.at + 250,
        moment.at,
        moment.channel.encode(),
        moment.name.encode(),
        moment.rule,
    )
