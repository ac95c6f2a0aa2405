"""How fast simulated touchpoints are handed over."""

from __future__ import annotations

import time
from collections.abc import Callable

AHEAD = 0.02  # seconds that are not worth waiting for
NAP = 0.2  # seconds between two looks whether to stop


class Pace:
    """Holds touchpoints back: to a rate per second, or, live, until the moment at which each arrives, or not at all."""

    def __init__(
        self,
        rate: float | None,
        live: bool,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate, self._live, self._now, self._sleep = rate, live, now, sleep
        self._began = now()
        self._count = 0

    def due(self, when: int) -> bool:
        """Is the next touchpoint, which arrives at `when` (ms), due now?"""
        return self._left(when) <= AHEAD

    def wait(self, when: int, stopped: Callable[[], bool]) -> None:
        """Return when it is due, or soon after `stopped` says so."""
        while (left := self._left(when)) > 0 and not stopped():
            self._sleep(min(left, NAP))

    def count(self) -> None:
        """One more was handed over."""
        self._count += 1

    def _left(self, when: int) -> float:
        due = 0.0
        if self._rate is not None:
            due = self._began + self._count / self._rate
        if self._live:
            due = max(due, when / 1000)
        return due - self._now()
