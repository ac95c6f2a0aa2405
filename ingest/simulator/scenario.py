"""What is simulated: how many customers, when, which pain, and how untidily their touchpoints arrive."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from ingest.simulator.moments import DECISIVE

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
# Monday 2025-01-06, midnight in Mexico City
DEFAULT_START = 1_736_143_200_000


@dataclass(frozen=True)
class Pain:
    """A touchpoint that hurts. Of those who pass it, `strength` (a probability) leave for good who would have stayed.

    Who stays waits longer, is less satisfied, and is less likely to come back another time.
    """

    touchpoint: str = "waiting"
    strength: float = 0.10

    def __post_init__(self) -> None:
        if self.touchpoint not in DECISIVE:
            raise ValueError(f"pain cannot be planted at {self.touchpoint!r}: use one of {', '.join(DECISIVE)}")
        if not 0 < self.strength <= 0.5:
            raise ValueError(f"the strength of pain is a probability above 0 and up to 0.5, not {self.strength}")

    @property
    def slower(self) -> float:
        """Factor on the minutes until the next touchpoint."""
        return 1 + 15 * self.strength

    @property
    def mood(self) -> float:
        """Points of satisfaction, on a scale of 1 to 5, that it costs on average."""
        return min(2.5, 18 * self.strength)

    @property
    def coming_back(self) -> float:
        """Factor on the probability of another visit."""
        return max(0.0, 1 - 3 * self.strength)


@dataclass(frozen=True)
class Scenario:
    """Times in ms; shares are probabilities. Equal scenarios give equal bytes."""

    seed: int = 1
    customers: int = 1_000
    start: int = DEFAULT_START
    duration: int = 7 * DAY
    pain: Pain | None = Pain()
    speed: float = 1.0  # simulated time per time written: at 60 an hour passes in a minute
    signed_in: bool = False  # every touchpoint carries the customer_id
    duplicates: float = 0.0
    late: float = 0.0
    late_by: int = 6 * HOUR  # at most, in written time
    corrections: float = 0.0  # of touchpoints of tills and call center, which then number their revisions from 1
    shared_devices: float = 0.0  # of orders in a store, placed at a kiosk that many customers use

    def __post_init__(self) -> None:
        for name in ("duplicates", "late", "corrections", "shared_devices"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share from 0 to 1, not {getattr(self, name)}")
        for name in ("customers", "duration", "late_by", "speed"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")

    @property
    def run(self) -> str:
        """Marks ids and identifiers, so that different runs into one system do not share customers.

        Seed and start only: the same customers with and without pain have the same ids.
        """
        return blake2b(f"{self.seed}/{self.start}".encode(), digest_size=4).hexdigest()

    @property
    def stores(self) -> int:
        return max(3, min(200, self.customers // 2_000))

    def written(self, at: int) -> int:
        """Simulated → written time."""
        return at if self.speed == 1 else self.start + int((at - self.start) / self.speed)
