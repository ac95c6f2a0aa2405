"""How often somebody may ask: a bucket that fills with time. Pure; the caller brings the time."""

from __future__ import annotations


class Bucket:
    """`rate` questions a second, and as many at once as come together in one second of asking nothing."""

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._most = max(1.0, rate)
        self._left = self._most
        self._at = now

    def take(self, now: float) -> float:
        """0: one question is allowed. Otherwise the seconds after which the next one is. `now` in seconds, rising."""
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return (1 - self._left) / self._rate
        self._left -= 1
        return 0.0
