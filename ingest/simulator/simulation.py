"""Runs the company: all customers' walks in the order of time, then their touchpoints in the order of arrival."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple

from ingest.simulator.company import VivanLosTacos
from ingest.simulator.customers import Customer
from ingest.simulator.delivery import Delivery
from ingest.simulator.hours import arrivals
from ingest.simulator.ledger import Ledger
from ingest.simulator.message import message
from ingest.simulator.scenario import Scenario
from ingest.simulator.story import Story
from ingest.simulator.walk import Step


class Sent(NamedTuple):
    """One touchpoint as JSON, when it arrives (ms, written time), and the number of its customer."""

    when: int
    customer: int
    touchpoint: bytes


class Simulation:
    """The touchpoints of a scenario, in order of arrival; memory holds the customers who are under way.

    Pure: equal scenarios give equal bytes. The ledger is told what really happens. Iterate once.
    """

    def __init__(self, scenario: Scenario, ledger: Ledger | None = None) -> None:
        self.scenario = scenario
        self.ledger = ledger or Ledger()
        self._company = VivanLosTacos(scenario, self.ledger)
        self._reached = scenario.start
        self._stopping = False

    @property
    def stopping(self) -> bool:
        return self._stopping

    @property
    def reached(self) -> int:
        """The written time (ms) up to which everything has happened."""
        return self._reached

    def stop(self) -> None:
        """End early: what is under way is left, what was held back is still sent, and the ledger says so."""
        self._stopping = True

    def __iter__(self) -> Iterator[Sent]:
        delivery = Delivery(self.scenario, self.ledger)
        for customer, step in self._in_order_of_time():
            at = self._reached = self.scenario.written(step.at)
            self.ledger.happened(customer, at, step)
            sent = message(customer, step, at, self._company)
            for arrival in delivery.take(at, customer.number, sent):
                yield Sent(*arrival)
        if not self._stopping:
            self._reached = max(self._reached, self.scenario.written(self.scenario.start + self.scenario.duration))
        for arrival in delivery.rest():
            yield Sent(*arrival)

    def _in_order_of_time(self) -> Iterator[tuple[Customer, Step]]:
        scenario = self.scenario
        end = scenario.start + scenario.duration
        under_way: list[tuple[int, int, Step, Customer, Iterator[Step]]] = []

        def go_on(customer: Customer, steps: Iterator[Step]) -> None:
            step = next(steps, None)
            if step is None or (not step.must and (step.at >= end or self._stopping)):
                self.ledger.gone(customer)
            else:
                heapq.heappush(under_way, (step.at, customer.number, step, customer, steps))

        def until(limit: float) -> Iterator[tuple[Customer, Step]]:
            while under_way and under_way[0][0] <= limit:
                _, _, step, customer, steps = heapq.heappop(under_way)
                if self._stopping and not step.must:
                    self.ledger.gone(customer)
                    continue
                yield customer, step
                go_on(customer, steps)

        for number, arrival in enumerate(arrivals(scenario)):
            yield from until(arrival)
            if self._stopping:
                break
            customer = Customer(scenario.seed, scenario.run, number, scenario.signed_in)
            go_on(customer, Story(customer, self._company, arrival).steps())
        yield from until(float("inf"))


def simulate(scenario: Scenario, ledger: Ledger | None = None) -> Simulation:
    """The touchpoints of a scenario, in order of arrival, and what is true about them in `ledger`."""
    return Simulation(scenario, ledger)
