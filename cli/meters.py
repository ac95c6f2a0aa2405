"""Figures out of counters: rates from totals, quantiles from cumulative histograms. Pure; the caller brings the time."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Mapping
from itertools import pairwise

KEPT_SECONDS = 600.0


class Meter:
    """How fast a total grows. Times in seconds, rising."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, at: float, total: int) -> None:
        """The total at that time; what is older than ten minutes is forgotten."""
        self._samples.append((at, total))
        while self._samples[0][0] < at - KEPT_SECONDS:
            self._samples.popleft()

    @property
    def total(self) -> int:
        """The last one; 0 before any."""
        return self._samples[-1][1] if self._samples else 0

    def rate(self, seconds: float) -> float:
        """Per second, over the last `seconds`, or over what there is."""
        if len(self._samples) < 2:
            return 0.0
        end = self._samples[-1][0]
        begin = max(self._samples[0][0], end - seconds)
        return max(0.0, (self.total - self._at(begin)) / (end - begin)) if end > begin else 0.0

    def series(self, step: float, count: int) -> list[float]:
        """Rates per second of up to `count` intervals of `step` seconds, the last one ending now."""
        if len(self._samples) < 2:
            return []
        first, end = self._samples[0][0], self._samples[-1][0]
        intervals = min(count, int((end - first) / step))
        edges = [self._at(end - step * place) for place in range(intervals, -1, -1)]
        return [max(0.0, (b - a) / step) for a, b in pairwise(edges)]

    def _at(self, moment: float) -> float:
        """The total then, on a straight line between two samples."""
        place = bisect_right(self._samples, moment, key=lambda sample: sample[0])
        if place == 0 or place == len(self._samples):
            return self._samples[max(0, place - 1)][1]
        (before, low), (after, high) = self._samples[place - 1], self._samples[place]
        return low + (high - low) * (moment - before) / (after - before)


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """Of a histogram: upper bound → number of values up to it. Linear within a bucket; the last finite bound at most;
    None without values."""
    bounds = sorted(buckets)
    wanted = share * buckets[bounds[-1]] if bounds else 0.0
    if wanted <= 0:
        return None
    below, lower = 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= wanted:
            if bound == float("inf"):
                return lower
            return lower + (bound - lower) * (wanted - below) / (buckets[bound] - below)
        below, lower = buckets[bound], bound
    return lower
