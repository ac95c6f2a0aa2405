"""The mechanics of a walk: steps in the order of time, and the decision after each whether to go on or to leave."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from ingest.simulator.customers import Customer, Identifiers
from ingest.simulator.hours import awake
from ingest.simulator.moments import Moment, Stage
from ingest.simulator.scenario import DAY, HOUR, Pain

# Probability to leave after a touchpoint of a stage, where nothing hurts.
LEAVES = {Stage.awareness: 0.30, Stage.research: 0.10, Stage.consideration: 0.07, Stage.decision: 0.03}
COMES_BACK_AFTER_LEAVING = 0.30
# A device without a name stays one person's for 30 days (DESIGN §4): a later return would be a stranger's.
NAMELESS_FOR = 25 * DAY
Span = tuple[float, float]


@dataclass(slots=True)
class Answer:
    """Feedback about the customer's touchpoint `about` (its number), whose name the ledger wants to know."""

    kind: str
    score: int | None
    about: Step
    text: str | None = None
    sentiment: str | None = None


@dataclass(slots=True)
class Step:
    """One touchpoint of a walk, at a simulated time. `number` counts the customer's touchpoints from 0.

    `must`: the touchpoint before it would be a stranger's without this one, so it happens even after the end.
    """

    at: int
    number: int
    moment: Moment
    identifiers: Identifiers
    must: bool = False
    amount: int = 0
    feedback: Answer | None = None
    context: dict[str, str] = field(default_factory=dict)
    properties: dict[str, object] = field(default_factory=dict)


Steps = Generator[Step, None, bool]  # and says at the end whether the customer goes on


class Company(Protocol):
    """What the customers of a company share."""

    pain: Pain | None
    stores: int
    least_gap: int  # ms between two touchpoints of a customer

    def kiosk(self, store: int, at: int, until: int) -> str | None:
        """Take a free kiosk of that store for that time, if there is one."""

    def orders_at_kiosk(self, draw: float) -> bool:
        """Whether who drew this number wants to order at a kiosk."""

    def decided(self, moment: Moment, left: bool, anyway: bool) -> None:
        """Someone decided after a touchpoint to go on or to leave; `anyway`: would have left without the pain too."""


class Walk:
    """A customer's walk. Each step is worked out when the one before it has happened; `journey` and `afterwards` tell
    the story (`ingest/simulator/story.py`)."""

    def __init__(self, customer: Customer, company: Company, at: int) -> None:
        self.me, self.company, self.chance = customer, company, customer.chance
        self.at = self.began = at
        self.mood = 0.0  # satisfaction with this journey, about 1 to 5
        self.sore: Step | None = None  # the touchpoint of this journey that hurt
        self._number = 0
        self._hurts = False
        self._touchy = 1.0  # how much pain spoils the mood this time; 1 on average
        self._gone_for_good = False

    def steps(self) -> Iterator[Step]:
        """All touchpoints of the customer's life, in the order of time."""
        while True:
            self.sore, self._gone_for_good = None, False
            self.mood = self.chance.around(4.3, 0.5)
            self._touchy = self.chance.between(0, 2)
            paid = yield from self.journey()
            if paid:
                yield from self.afterwards()
            if not self._wants_more(paid):
                return

    def journey(self) -> Steps:
        """From the first thought to the bill; says whether it came to that."""
        raise NotImplementedError

    def afterwards(self) -> Iterator[Step]:
        """What follows a paid bill."""
        raise NotImplementedError

    def step(self, moment: Moment, after: Span, identifiers: Identifiers, **details: Any) -> Step:
        """The next touchpoint, some ms after the last one."""
        return self.step_at(moment, self.at + self.gap(after), identifiers, **details)

    def gap(self, after: Span) -> int:
        """Minutes grow behind a touchpoint that hurts; the days until a visit do not."""
        gap = self.chance.between(*after)
        if self._hurts and self.company.pain and gap < HOUR:
            gap *= self.company.pain.slower
        return max(int(gap), self.company.least_gap)

    def step_at(self, moment: Moment, at: int, identifiers: Identifiers, **details: Any) -> Step:
        self.at = max(at, self.at + self.company.least_gap)
        step = Step(self.at, self._number, moment, identifiers, **details)
        self._number += 1
        self._hurts = self._hurts_at(moment)
        if self._hurts and self.company.pain:
            if self.sore is None:
                self.mood -= self._touchy * self.company.pain.mood
            self.sore = step
        return step

    def leaves(self, moment: Moment) -> bool:
        """Decide after a touchpoint. One draw decides with and without the pain, so that both outcomes are known."""
        assert moment.stage is not None
        draw, usual = self.chance.draw(), LEAVES[moment.stage]
        pain = self.company.pain
        anyway = draw < usual
        left = draw < usual + (pain.strength if pain and self._hurts_at(moment) else 0)
        self.company.decided(moment, left, anyway)
        self._gone_for_good = left and not anyway
        return left

    def _hurts_at(self, moment: Moment) -> bool:
        pain = self.company.pain
        return pain is not None and moment.name == pain.touchpoint

    def _wants_more(self, paid: bool) -> bool:
        """Decide whether there is a next time, and when."""
        draw, days, persona = self.chance.draw(), self.chance.draw(), self.me.persona
        if paid:
            pain = self.company.pain
            spoilt = pain.coming_back if self.sore and pain else 1.0
            self.at = awake(self.at + int((0.4 + 1.2 * days) * persona.days_between * DAY))
            return draw < persona.comes_back * spoilt
        self.at = awake(self.at + int((1 + 9 * days) * DAY))
        if not self.me.named and self.at > self.began + NAMELESS_FOR:
            return False
        return not self._gone_for_good and draw < COMES_BACK_AFTER_LEAVING
