"""Back-pressure, by name: how many bytes may be in memory at a time, and the errors that say `not now`."""

from __future__ import annotations


class Unavailable(Exception):
    """Nothing was written, or nobody knows whether it was: send it again after `retry_after` seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Overloaded(Unavailable):
    """More bytes are in flight than the limit allows."""


class BrokerAway(Unavailable):
    """The broker cannot be reached, or did not acknowledge in time."""


class Budget:
    """Counts bytes in flight: bodies being read, records waiting for their acknowledgement."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.taken = 0

    def take(self, size: int) -> None:
        """Raises `Overloaded` while the limit is reached. Whoever comes first may go beyond it, once."""
        if self.taken and self.taken + size > self._max_bytes:
            raise Overloaded(f"{self.taken} bytes are in flight already", retry_after=1)
        self.taken += size

    def give_back(self, size: int) -> None:
        self.taken -= size
