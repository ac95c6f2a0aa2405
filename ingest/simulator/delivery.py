"""How touchpoints really arrive: twice, late, or wrong at first and corrected later. Each irregularity is counted.

What is true does not change: a duplicate is the same event, a correction has the higher revision, and a touchpoint that
never happened is retracted.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from ingest.simulator.chance import Chance
from ingest.simulator.ledger import Ledger
from ingest.simulator.message import Message, rfc3339
from ingest.simulator.scenario import HOUR, MINUTE, SECOND, Scenario
from schemas.codec import encode

Arrival = tuple[int, int, bytes]
# Tills and the call center correct what they sent, so they number their revisions from 1.
_CORRECTING = frozenset(("store", "call_center"))


class Delivery:
    """Takes touchpoints in the order of time and gives them back in the order of arrival."""

    def __init__(self, scenario: Scenario, ledger: Ledger) -> None:
        self._scenario = scenario
        self._counts = ledger.deliveries
        self._chance = Chance(scenario.seed, "delivery")
        self._held: list[tuple[int, int, int, bytes]] = []  # (arrival, tie, customer, touchpoint)
        self._ties = 0
        self._tidy = not (scenario.duplicates or scenario.late or scenario.corrections)

    def take(self, at: int, customer: int, sent: Message) -> Iterator[Arrival]:
        """A touchpoint that happened at `at` (ms); gives back what has arrived by then."""
        if self._tidy:
            self._counts["sent"] += 1
            self._counts["deliveries"] += 1
            yield at, customer, encode(sent)
            return
        for occurred, version in self._versions(at, customer, sent):
            self._send(occurred, customer, encode(version))
        while self._held and self._held[0][0] <= at:
            yield self._arrival()

    def rest(self) -> Iterator[Arrival]:
        """Everything that is still on its way."""
        while self._held:
            yield self._arrival()

    def _arrival(self) -> Arrival:
        when, _, customer, touchpoint = heapq.heappop(self._held)
        return when, customer, touchpoint

    def _send(self, at: int, customer: int, touchpoint: bytes) -> None:
        chance, scenario = self._chance, self._scenario
        self._counts["sent"] += 1
        if chance.happens(scenario.late):
            self._counts["late"] += 1
            at += int(chance.between(SECOND, scenario.late_by))
        self._hold(at, customer, touchpoint)
        if chance.happens(scenario.duplicates):
            self._counts["duplicates"] += 1
            self._hold(at + int(chance.between(SECOND, HOUR)), customer, touchpoint)

    def _hold(self, at: int, customer: int, touchpoint: bytes) -> None:
        self._counts["deliveries"] += 1
        self._ties += 1
        heapq.heappush(self._held, (at, self._ties, customer, touchpoint))

    def _versions(self, at: int, customer: int, sent: Message) -> Iterator[tuple[int, Message]]:
        """The touchpoint as it was first told, and as it was corrected."""
        if not self._scenario.corrections or sent["channel"] not in _CORRECTING:
            yield at, sent
            return
        sent["revision"] = 1
        if not self._chance.happens(self._scenario.corrections):
            yield at, sent
            return
        later = at + int(self._chance.between(MINUTE, 4 * HOUR))
        if self._chance.happens(0.2):
            yield at, sent
            yield from self._phantom(at, later, customer, sent)
            return
        self._counts["corrections"] += 1
        yield at, sent | self._mistake(at, customer, sent)
        yield later, sent | {"revision": 2}

    def _mistake(self, at: int, customer: int, sent: Message) -> Message:
        """The wrong amount, the wrong customer, or a clock that is off."""
        draw = self._chance.draw()
        if "value" in sent and draw < 0.5:
            return {"value": sent["value"] | {"amount": sent["value"]["amount"] * 10}}
        if draw < 0.75 and "customer_id" in sent["identifiers"] and customer > 0:
            return {"identifiers": {"customer_id": self._someone_else(sent, customer)}}
        return {"occurred_at": rfc3339(at - int(self._chance.between(MINUTE, HOUR)))}

    def _phantom(self, at: int, later: int, customer: int, sent: Message) -> Iterator[tuple[int, Message]]:
        """A complaint booked on the wrong customer, who never made it; retracted."""
        if not customer or "customer_id" not in sent["identifiers"]:
            return
        self._counts["retracted"] += 1
        phantom = {
            "event_id": f"{sent['event_id']}-phantom",
            "channel": "call_center",
            "name": "complaint",
            "identifiers": {"customer_id": self._someone_else(sent, customer)},
            "occurred_at": rfc3339(at),
            "revision": 1,
        }
        yield at, phantom
        yield later, phantom | {"revision": 2, "retracted": True}

    def _someone_else(self, sent: Message, customer: int) -> str:
        """A customer who came earlier."""
        prefix = str(sent["identifiers"]["customer_id"]).rpartition("-")[0]
        return f"{prefix}-{int(self._chance.draw() * customer)}"
