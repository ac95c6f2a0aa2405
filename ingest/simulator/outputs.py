"""Where simulated touchpoints go. Here: a file of JSON lines, and what the other outputs share."""

from __future__ import annotations

import gzip
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Protocol, cast

BATCH = 500
BATCH_BYTES = 1 << 20
MAX_PAUSE = 5.0  # seconds between two tries
GIVE_UP_AFTER = 300.0  # seconds without any success


class OutputError(Exception):
    """The touchpoints cannot be handed over; says why and what helps."""


class Output(Protocol):
    """Takes touchpoints in order of arrival. One request is under way at a time, so every customer's order is kept."""

    rejected: int

    def write(self, touchpoint: bytes) -> None:
        """Take one; it is handed over now or with the next `flush`."""

    def flush(self) -> None:
        """Hand over what waits, and wait until it is acknowledged. Raises OutputError."""

    def close(self) -> None:
        """Let go of file or connection; what was not flushed is lost."""


class FileOutput:
    """JSON lines; gzip when the name ends in .gz; `-` is standard output."""

    rejected = 0

    def __init__(self, path: Path) -> None:
        self._open = ExitStack()  # what `close` closes, the inner file last
        if str(path) == "-":
            self._file: IO[bytes] = sys.stdout.buffer
            return
        self._file = self._open.enter_context(path.open("wb", buffering=1 << 20))
        if path.suffix == ".gz":
            # A fixed time in the header: equal scenarios give equal files.
            packed = self._open.enter_context(gzip.GzipFile("", "wb", 5, self._file, mtime=0))
            self._file = cast("IO[bytes]", packed)

    def write(self, touchpoint: bytes) -> None:
        self._file.write(touchpoint + b"\n")

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self.flush()
        self._open.close()


class Batches:
    """Gathers touchpoints, and tries again while the other side says that it is busy or away."""

    def __init__(self) -> None:
        self.rejected = 0
        self.problem = ""  # why the last try failed
        self._waiting: list[bytes] = []
        self._bytes = 0

    def write(self, touchpoint: bytes) -> None:
        self._waiting.append(touchpoint)
        self._bytes += len(touchpoint)
        if len(self._waiting) >= BATCH or self._bytes >= BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            began, tries = time.monotonic(), 0
            while (pause := self.hand_over(self._waiting)) is not None:
                if time.monotonic() - began > GIVE_UP_AFTER:
                    raise OutputError(f"nothing was taken for {GIVE_UP_AFTER:.0f} s: {self.problem}")
                tries += 1
                time.sleep(min(max(pause, 0.05 * 2 ** min(tries, 10)), MAX_PAUSE))
            self._waiting, self._bytes = [], 0

    def hand_over(self, batch: list[bytes]) -> float | None:
        """None when the batch is acknowledged, else how many seconds to wait before the next try."""
        raise NotImplementedError
