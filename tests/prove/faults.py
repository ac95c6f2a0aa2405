"""Faults for a line that is at work: each is recorded with the offsets and the work in flight when it struck."""

from __future__ import annotations

import json
import random
import sys
import time
import urllib.error
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka.errors import KafkaError

from schemas import topics
from tests.line import Line
from tests.sender import Sender
from tests.standing import Standing

KILLS = {"worker": 5, "sink": 5, "collector": 5, "clickhouse": 5, "kafka": 5}
PAUSE_SECONDS = 15.0
BUSY_SECONDS = 60.0  # how long to wait for work in flight before a fault counts as idle
RECOVERY_SECONDS = 180.0


class NotBusy(AssertionError):
    """The process that a fault was meant for had nothing in hand."""


class Faults:
    """Runs the faults of one seed in random order, and is the supervisor meanwhile: what ends by itself is started again."""

    def __init__(
        self,
        line: Line,
        sender: Sender,
        chance: random.Random,
        *,
        kills: Mapping[str, int] = KILLS,
        pauses: int = 1,
        joins: int = 1,
    ) -> None:
        self._line, self._sender, self._chance = line, sender, chance
        self._kills, self._pauses, self._joins = kills, pauses, joins
        self._began = time.monotonic()
        self.log: list[dict[str, Any]] = []

    def run(self) -> None:
        """Raises NotBusy, or AssertionError when the line does not recover."""
        faults: list[tuple[str, Callable[[], dict[str, Any]]]] = [
            (kind, lambda kind=kind: self._kill(kind))  # type: ignore[misc]
            for kind, times in self._kills.items()
            for _ in range(times)
        ]
        faults += [("pause", self._pause)] * self._pauses + [("join", self._join_and_leave)] * self._joins
        self._chance.shuffle(faults)
        for kind, fault in faults:
            self._wait(self._chance.uniform(0.5, 4.0))
            struck = {"fault": kind, "at": round(time.monotonic() - self._began, 1)}
            self.log.append(struck)
            struck |= fault()
            self._recovered()
            struck["over"] = round(time.monotonic() - self._began, 1)
            print(json.dumps(struck), file=sys.stderr, flush=True)

    def finish_sending(self, seconds: float) -> None:
        """Until everything is acknowledged."""
        deadline = time.monotonic() + seconds
        while self._sender.running and time.monotonic() < deadline:
            self._line.revive()
            time.sleep(0.1)
        self._sender.wait(1)

    # --- faults ------------------------------------------------------------------------------------------------------

    def _kill(self, kind: str) -> dict[str, Any]:
        """`kill -9` while it is at work; it is started again after 0 to 3 seconds."""
        name = f"worker-{self._chance.choice((1, 2))}" if kind == "worker" else kind
        down = round(self._chance.uniform(0, 3), 2)
        at_work = self._when_busy(kind)
        self._line.kill(name)
        self._wait(down)
        self._line.start(name, wait=False)
        return {"process": name, "down_seconds": down, **at_work}

    def _pause(self) -> dict[str, Any]:
        """SIGSTOP for longer than the group and the transactions wait, then go on as if nothing had been."""
        name = f"worker-{self._chance.choice((1, 2))}"
        at_work = self._when_busy("worker")
        self._line.freeze(name)
        try:
            self._wait(PAUSE_SECONDS)
        finally:
            self._line.thaw(name)
        return {"process": name, "stopped_seconds": PAUSE_SECONDS, **at_work}

    def _join_and_leave(self) -> dict[str, Any]:
        """A third worker takes its share, and gives it back."""
        at_work = self._when_busy("worker")
        name = self._line.add_worker()
        self._line.start(name, wait=False)
        deadline = time.monotonic() + RECOVERY_SECONDS
        while self._line.log(name).count('"event": "partition opened"') < 2:
            assert time.monotonic() < deadline, f"{name} got no partitions within {RECOVERY_SECONDS:.0f} s"
            self._wait(0.2)
        self._wait(self._chance.uniform(2, 6))
        leaving = self._when_busy("worker")
        code = self._line.stop(name)
        assert code == 0, f"{name} left with exit code {code}"
        return {"process": name, **at_work, "when_leaving": leaving}

    # --- what is in flight -------------------------------------------------------------------------------------------

    def _when_busy(self, kind: str) -> dict[str, Any]:
        """Wait until the process has work in hand; the offsets and the work. Raises NotBusy."""
        deadline = time.monotonic() + BUSY_SECONDS
        while time.monotonic() < deadline:
            self._line.revive()
            try:
                standing = self._line.standing()
            except (KafkaError, OSError, TimeoutError):
                time.sleep(0.2)
                continue
            in_flight = self._sender.in_flight
            if self._busy(kind, standing, in_flight):
                return {
                    "offsets": standing.figures,
                    "lag": unread_touchpoints(standing),
                    "requests_in_flight": in_flight,
                }
        raise NotBusy(f"{kind} had nothing in hand for {BUSY_SECONDS:.0f} s: the input is too slow")

    def _busy(self, kind: str, standing: Standing, in_flight: int) -> bool:
        lag = unread_touchpoints(standing)
        if kind == "collector":
            return in_flight > 0
        if kind == "worker":  # more than half of the partitions: so each of two workers has some of them
            partitions = sum(tp.topic == topics.TOUCHPOINTS.name for tp in standing.ends)
            return bool(lag["identity_partitions"] * 2 > partitions)
        if kind == "kafka":
            return in_flight > 0 and lag["identity"] > 0 and lag["sink"] > 0
        return lag["sink"] > 0

    def _recovered(self) -> None:
        """The line takes touchpoints and identity and sink get on again. AssertionError when that takes too long."""
        deadline = time.monotonic() + RECOVERY_SECONDS
        acknowledged = self._sender.acknowledged
        before: Standing | None = None
        while time.monotonic() < deadline:
            self._wait(0.1)
            try:
                standing = self._line.standing()
            except (KafkaError, OSError, TimeoutError, urllib.error.URLError):
                continue
            before = before or standing
            moved = all(
                committed(standing, group) > committed(before, group) for group in ("identity", "stitch", "sink")
            )
            if moved and (self._sender.acknowledged > acknowledged or not self._sender.running):
                return
        raise AssertionError(f"the line did not recover within {RECOVERY_SECONDS:.0f} s after {self.log[-1]}")

    def _wait(self, seconds: float) -> None:
        """Sleep, and start again what ends by itself meanwhile."""
        until = time.monotonic() + seconds
        while True:
            self._line.revive()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(0.1, left))


def unread_touchpoints(standing: Standing) -> dict[str, int]:
    """Touchpoints in the log that a group has not committed; this topic has no markers, so it is exact."""
    found = {}
    for group in ("identity", "sink"):
        committed = standing.committed[group]
        lags = [end - committed.get(tp, 0) for tp, end in standing.ends.items() if tp.topic == topics.TOUCHPOINTS.name]
        found[group] = sum(lags)
        found[f"{group}_partitions"] = sum(lag > 0 for lag in lags)
    return found


def committed(standing: Standing, group: str) -> int:
    """Everything that the group has committed, added up."""
    return sum(standing.committed[group].values())
