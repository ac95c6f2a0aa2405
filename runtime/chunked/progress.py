"""How far one owned partition is with one of its sources: position, committed, read up to which time, still alive."""

from __future__ import annotations

from runtime.chunked.errors import LegError
from runtime.chunked.privates import Fetched, Reading

# A record gets its append time before anybody can see it: the broker still has to write and replicate it.
APPEND_MARGIN_MS = 500
# A chunk is shown lost by the one after it; where none follows, by being under way for so long.
LOST_MS = 10_000
# aiokafka's fetching can die without telling anybody; a process that does nothing is worse than one that ends.
STALLED_MS = 60_000


class SourceProgress:
    """One partition of one source. All times are ms since 1970; `committed` None: the group has no offset yet."""

    def __init__(self, name: str, position: int, committed: int | None) -> None:
        self.position, self.committed = position, committed
        self.read_to = 0  # every record appended up to this time has been taken
        self.lag = 0  # offsets to the end of the log as last seen
        self._name = name
        self._moved = 0  # when it was last sought or taken from

    def sought(self, now: int) -> None:
        """Reading begins anew at the position."""
        self._moved = now

    def took(self, fetched: Fetched, now: int) -> None:
        """A chunk, the next one, is in the state now."""
        self.position = fetched.next
        self.read_to = max(self.read_to, fetched.chunk.timestamps[-1])
        self._moved = now

    def look(self, reading: Reading, now: int) -> bool:
        """Learn from how far the log has been read. True: a chunk was lost on the way, seek again.

        Raises LegError when nothing is being fetched any more.
        """
        # Transaction markers lie between what was taken and the end: there is no record between start and position.
        at_end = reading.start <= self.position and reading.position >= reading.end >= 0
        if at_end:
            self.read_to = max(self.read_to, reading.asked - APPEND_MARGIN_MS)
        self.lag = 0 if at_end else max(0, reading.end - self.position)
        if now - max(self._moved, reading.asked) > STALLED_MS:
            raise LegError(f"{self._name}: no fetch has been answered for {STALLED_MS // 1000} s")
        return reading.start > self.position and now - self._moved > LOST_MS
