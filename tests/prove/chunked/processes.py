"""The processes of the proof: a broker that can be killed, workers, and the supervisor that starts them again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Protocol

from deploy.local.child import Child
from deploy.local.kafka import KafkaServer
from deploy.local.ports import free_port
from runtime.settings import KafkaSettings
from tests.prove.chunked.group import is_up, records_taken
from tests.prove.chunked.job import Counting

STOP_SECONDS = 40.0


class Broker(Protocol):
    """A broker that can be killed and comes back with its data."""

    @property
    def kafka(self) -> KafkaSettings:
        """How to reach it."""

    def kill(self) -> None:
        """`kill -9`."""

    def start_again(self) -> None:
        """With its data; need not wait until it answers."""


class LocalBroker:
    """The broker of the proof."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self._server = KafkaServer(folder / "kafka", port, free_port({port}))
        self._child = Child("kafka", self._server.argv(), folder / "kafka.log")
        self.kafka = KafkaSettings(bootstrap=self._server.bootstrap)

    def start(self) -> None:
        self._child.start()
        self._child.wait_until(self._server.ready, 120)

    def start_again(self) -> None:
        self._child.start()

    def kill(self) -> None:
        self._child.kill()


class Workers:
    """The processes, and their supervisor: who exits is started again."""

    def __init__(self, leg: Counting, kafka: KafkaSettings, folder: Path, mutant: str) -> None:
        self._leg, self._kafka, self._folder, self._mutant = leg, kafka, folder, mutant
        self._children: dict[int, Child] = {}
        self._ports: dict[int, int] = {}
        self._next = 0
        self.exits: list[str] = []

    @property
    def running(self) -> list[int]:
        return sorted(self._children)

    @property
    def confessions(self) -> list[str]:
        """Exits whose reason is a fault of the store, not one that was thrown at it."""
        signs = ("WatermarkError", "AssertionError", "NotCoPartitioned", "did not stop")
        return [line for line in self.exits if any(sign in line for sign in signs)]

    def join(self) -> int:
        number, self._next = self._next, self._next + 1
        port = self._ports[number] = free_port()
        argv = [sys.executable, "-m", "tests.prove.chunked.worker", self._kafka.bootstrap, self._leg.name, self._mutant]
        log = self._folder / f"worker-{number}.log"
        self._children[number] = Child(f"worker-{number}", argv, log, {"DESIRELINE_METRICS_PORT": str(port)})
        self._children[number].start()
        return number

    def pid(self, number: int) -> int:
        return self._children[number].pid

    async def end(self, number: int, how: signal.Signals) -> int:
        """Signal it, wait for its end and forget it; its exit code."""
        child = self._children.pop(number)
        os.kill(child.pid, how)
        give_up = time.monotonic() + STOP_SECONDS
        while child.alive and time.monotonic() < give_up:
            await asyncio.sleep(0.05)
        if child.alive:
            self.exits.append(f"worker {number} did not stop within {STOP_SECONDS:.0f} s of {how.name}")
            child.kill()
        return child.exit_code or 0

    async def supervise(self) -> None:
        while True:
            for child in list(self._children.values()):
                if not child.alive:
                    self.exits.append(f"{child.exit_code}: {last_error(child.log)}")
                    child.start()
            await asyncio.sleep(0.3)

    async def busy(self, number: int, seconds: float = 15.0) -> float:
        """Wait until it takes records; how many in the last 0.2 s, 0 if it stays idle."""
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            before = await asyncio.to_thread(records_taken, self._ports[number])
            await asyncio.sleep(0.2)
            taken = await asyncio.to_thread(records_taken, self._ports[number]) - before
            if before and taken > 0:
                return taken
        return 0.0

    async def all_up(self, seconds: float = 60.0) -> None:
        """Wait for those that the supervisor has just started: a signal ends Python before `main`, and with -15."""
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            if all([await asyncio.to_thread(is_up, self._ports[number]) for number in self.running]):
                return
            await asyncio.sleep(0.2)

    def kill_all(self) -> None:
        for child in self._children.values():
            child.kill()


def last_error(log: Path) -> str:
    """Why a worker ended, from its log: kind and message."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if '"leg failed"' in line]
    if not lines:
        return "no line"
    line = json.loads(lines[-1])
    return f"{line['kind']}: {line.get('error') or line.get('exception', '').strip().splitlines()[-1]}"[:300]
