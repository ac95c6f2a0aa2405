"""How a leg's store works: times in seconds, sizes in records."""

from __future__ import annotations

from dataclasses import dataclass

# A partition spends at most about this share of its time inside transactions, within the bounds of the two intervals. Most of
# that time it waits for the broker: on a busy machine ten times as long as the transaction costs.
TRANSACTION_SHARE = 0.5
TICK_SECONDS = 0.25


@dataclass(frozen=True)
class StoreSettings:
    """When a transaction starts after its first pending work.

    A short interval means low latency and more transactions; each costs the broker and us the same, whatever it
    carries. So the interval follows the load by itself: twice as long as transactions have taken lately (they take
    longer when the machine or the broker is busy), but never shorter than `interval_idle` nor longer than
    `interval_busy`; and the longest where a partition takes more than `busy` records a second. Equal values fix it.
    `batch` records taken start one at once; a partition with twice as many waiting for the transaction before takes no
    more until it is through.

    A partition with more than `backlog` records before it gains nothing by haste: it waits for a full batch, at most
    `interval_backlog`, or until it has caught up. What changes several times in a batch is written once, so the backlog
    shrinks faster.
    """

    interval_idle: float = 0.05
    interval_busy: float = 0.2
    interval_backlog: float = 2.0
    busy: float = 1_500
    batch: int = 40_000
    backlog: int = 10_000

    def interval(self, commit_seconds: float, lag: int, rate: float) -> float:
        """Seconds from the first pending work to its transaction; `commit_seconds`: what transactions take lately;
        `lag`: records that are known not to have been taken yet; `rate`: records taken a second, up to the last one."""
        if lag > self.backlog:
            return self.interval_backlog
        if rate > self.busy:
            return self.interval_busy
        return min(self.interval_busy, max(self.interval_idle, commit_seconds / TRANSACTION_SHARE))
