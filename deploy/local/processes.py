"""Processes by pid *and* start time, since pids are used again: is it still the same one, and end it."""

from __future__ import annotations

import os
import signal

import psutil
from pydantic import BaseModel

SAME_SECONDS = 2  # by how much two readings of one process's start time may differ (clock steps)


class Identity(BaseModel, frozen=True):
    """One process for good: its pid, and when the operating system says it started (Unix seconds)."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> Identity:
        """Raises `psutil.NoSuchProcess` when it is gone."""
        return cls(pid=pid, started=psutil.Process(pid).create_time())

    @classmethod
    def own(cls) -> Identity:
        return cls.of(os.getpid())

    def process(self) -> psutil.Process | None:
        """The process while it lives (a zombie does not), None when it is gone or another one has its pid."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < SAME_SECONDS
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    def end(self, seconds: float = 20) -> bool:
        """SIGTERM, then SIGKILL after `seconds`; was it there? Works on processes that are not our children."""
        process = self.process()
        if process is None:
            return False
        for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 10.0)):
            try:
                process.send_signal(number)
                process.wait(patience)
            except psutil.NoSuchProcess:
                break
            except psutil.TimeoutExpired:
                continue
            break
        return True
