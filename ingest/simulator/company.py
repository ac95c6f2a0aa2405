"""What the customers of a simulated company share: its kiosks, its tills' counters, and its pain."""

from __future__ import annotations

from collections import Counter
from math import ceil

from ingest.simulator.ledger import Ledger
from ingest.simulator.moments import Moment
from ingest.simulator.scenario import Scenario

KIOSKS_PER_STORE = 2


class VivanLosTacos:
    """The restaurants. Everything here changes in the order of simulated time only."""

    def __init__(self, scenario: Scenario, ledger: Ledger) -> None:
        self.pain = scenario.pain
        self.stores = scenario.stores
        # Two touchpoints of one customer never share a millisecond, however fast the simulation is told.
        self.least_gap = ceil(scenario.speed)
        self._run = scenario.run
        self._share_of_kiosks = scenario.shared_devices
        self._ledger = ledger
        self._taken_until: dict[str, int] = {}
        self._sequences: Counter[str] = Counter()

    def orders_at_kiosk(self, draw: float) -> bool:
        return draw < self._share_of_kiosks

    def kiosk(self, store: int, at: int, until: int) -> str | None:
        """One that nobody uses: what happens there without a name is the next named one's, so sessions must not mix."""
        for number in range(KIOSKS_PER_STORE):
            kiosk = f"k-{self._run}-{store}-{number}"
            if self._taken_until.get(kiosk, 0) + self.least_gap <= at:
                self._taken_until[kiosk] = until
                return kiosk
        return None

    def decided(self, moment: Moment, left: bool, anyway: bool) -> None:
        self._ledger.decided(moment, left, anyway)

    def next_in(self, stream: str) -> int:
        """Sequence of the next touchpoint that a store's tills send, from 0."""
        sequence = self._sequences[stream]
        self._sequences[stream] = sequence + 1
        return sequence
