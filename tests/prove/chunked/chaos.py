"""One seed: workers on a real broker, input that never stops, faults, and a comparison of everything at the end."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from runtime.kafka import create_topics, delete_topics, partition_of
from tests.prove.chunked.expected import differences
from tests.prove.chunked.group import committed_offsets, everything_taken, moment
from tests.prove.chunked.job import KEYS, PARTITIONS, Counting, key_of
from tests.prove.chunked.processes import Broker, Workers

FAULTS = ("kill", "quick", "term", "pause", "join", "leave", "broker")
PAUSE_SECONDS = 15.0
RATE = 1_500  # input records a second
FLOW_SECONDS = 120.0
SETTLE_SECONDS = 180.0
WRONG_SETTLE_SECONDS = 10.0  # when it is known to be wrong already


class Chaos:
    """A run: `report()` after `run()` is one JSON object."""

    def __init__(
        self, seed: int, broker: Broker, folder: Path, faults: list[str] | None = None, mutant: str = ""
    ) -> None:
        self._random = random.Random(seed)
        self._seed, self._broker, self._mutant = seed, broker, mutant
        self._leg = Counting(f"chunked-{os.getpid()}-{seed}{mutant}")
        self._workers = Workers(self._leg, broker.kafka, folder, mutant)
        self._kinds = faults or self._random.sample(FAULTS, 4)
        self._sent, self._feeding = 0, True
        self._faults: list[dict[str, Any]] = []
        self._wrong: dict[str, int] = {}

    async def run(self) -> dict[str, Any]:
        """Everything, bounded in time; topics are removed when all was right."""
        began = time.monotonic()
        create_topics(self._broker.kafka, self._leg.topics)
        feeding = asyncio.create_task(self._feed())
        supervising = asyncio.create_task(self._workers.supervise())
        try:
            for _ in range(self._random.randint(2, 4)):
                self._workers.join()
            started = len(self._workers.running)
            flow = await self._until_all_flow()
            for kind in self._kinds:
                if flow is None:
                    break  # not one step further: the comparison says what is wrong
                await asyncio.sleep(self._random.uniform(0.5, 2))
                flow = await self._inject(kind)
            self._feeding = False
            await feeding
            if not await self._settled():
                self._wrong["not everything was taken"] = 1
            await self._workers.all_up()
            supervising.cancel()
            codes = [await self._workers.end(number, signal.SIGTERM) for number in self._workers.running]
            self._wrong["worker did not end with 0 on SIGTERM"] = sum(code != 0 for code in codes)
            committed = await committed_offsets(self._broker.kafka, self._leg.name)
            self._wrong |= await differences(self._broker.kafka, self._leg, committed)
        finally:
            feeding.cancel()
            supervising.cancel()
            self._workers.kill_all()
        for line in self._workers.confessions:
            self._wrong[line] = self._wrong.get(line, 0) + 1
        wrong = {what: count for what, count in self._wrong.items() if count}
        if not wrong:
            delete_topics(self._broker.kafka, [spec.name for spec in self._leg.topics])
        return {
            "seed": self._seed,
            "mutant": self._mutant,
            "workers": started,
            "records": self._sent,
            "faults": self._faults,
            "exits": self._workers.exits,
            "differences": wrong,
            "seconds": round(time.monotonic() - began),
        }

    async def _feed(self) -> None:
        """Ids of all keys, 5 % of them twice; every one is acknowledged, or this raises."""
        random_keys = random.Random(self._seed + 1)
        producer = AIOKafkaProducer(**self._broker.kafka.client(), enable_idempotence=True, linger_ms=5)
        await producer.start()
        began, seen = time.monotonic(), [(key_of(0), b"0")]
        sending: set[asyncio.Future[Any]] = set()
        while self._feeding:
            for _ in range(RATE // 20):
                key, number = key_of(random_keys.randrange(KEYS)), b"%d" % self._sent
                if random_keys.random() < 0.05:
                    key, number = random_keys.choice(seen)
                seen.append((key, number))
                partition = partition_of(key, PARTITIONS)
                sending.add(await producer.send(self._leg.entry, number, key, partition))
                self._sent += 1
            done = {sent for sent in sending if sent.done()}
            sending -= done
            await asyncio.gather(*done)
            await asyncio.sleep(max(0, self._sent / RATE - (time.monotonic() - began)))
        await asyncio.gather(*sending)
        await producer.stop()

    async def _inject(self, kind: str) -> float | None:
        """One fault on a busy worker; seconds until every partition flowed again, None if that did not happen."""
        running = self._workers.running
        if (kind == "join" and len(running) >= 4) or (kind == "leave" and len(running) <= 2):
            kind = "leave" if kind == "join" else "join"
        victim, busy = await self._busy_worker()
        before = await moment(self._broker.kafka, self._leg)
        code = await self._hit(kind, victim)
        flowing = asyncio.create_task(self._until_all_flow())
        await self._recover(kind, victim)
        flow = await flowing
        self._faults.append(
            {
                "kind": kind,
                "worker": victim,
                "taken_in_0.2_s": busy,
                "committed": before.committed,
                "in_flight": before.end - before.committed,
                "open_transactions": before.open_transactions,
                "exit_code": code,
                "seconds_until_all_flow": flow,
            }
        )
        return flow

    async def _busy_worker(self) -> tuple[int, float]:
        """A worker that is taking records now, for a fault that hits an idle one proves nothing; and how many."""
        candidates = self._random.sample(self._workers.running, len(self._workers.running))
        for number in candidates:
            if busy := await self._workers.busy(number):
                return number, busy
        self._wrong["no worker takes anything"] = 1
        return candidates[0], 0

    async def _hit(self, kind: str, victim: int) -> int | None:
        """The fault itself; the exit code of who ends by it."""
        if kind in ("kill", "quick"):
            return await self._workers.end(victim, signal.SIGKILL)
        if kind in ("term", "leave"):
            code = await self._workers.end(victim, signal.SIGTERM)
            self._wrong["exit code not 0 on SIGTERM"] = self._wrong.get("exit code not 0 on SIGTERM", 0) + (code != 0)
            return code
        if kind == "pause":
            os.kill(self._workers.pid(victim), signal.SIGSTOP)
        elif kind == "broker":
            self._broker.kill()
        return None

    async def _recover(self, kind: str, victim: int) -> None:
        """What a supervisor does about it, after a while."""
        if kind == "kill":
            await asyncio.sleep(self._random.uniform(3, 8))
        if kind in ("kill", "quick", "term", "join"):
            number = self._workers.join()
            if kind == "join":
                await self._workers.busy(number)  # until then nothing has happened
        elif kind == "pause":
            pid = self._workers.pid(victim)
            try:
                await asyncio.sleep(PAUSE_SECONDS)
            finally:
                os.kill(pid, signal.SIGCONT)
        elif kind == "broker":
            await asyncio.sleep(self._random.uniform(0, 3))
            self._broker.start_again()

    async def _until_all_flow(self) -> float | None:
        """Seconds until every partition of every source has committed something new."""
        began = time.monotonic()
        base = await committed_offsets(self._broker.kafka, self._leg.name)
        wanted = {(topic, number) for topic in self._leg.sources for number in range(PARTITIONS)}
        while time.monotonic() - began < FLOW_SECONDS and not self._workers.confessions:
            now = await committed_offsets(self._broker.kafka, self._leg.name)
            if all(now.get(tp, -1) > base.get(tp, -1) for tp in wanted):
                return round(time.monotonic() - began, 1)
            await asyncio.sleep(0.3)
        self._wrong["partitions stood still"] = 1
        return None

    async def _settled(self) -> bool:
        already_wrong = any(self._wrong.values()) or self._workers.confessions
        give_up = time.monotonic() + (WRONG_SETTLE_SECONDS if already_wrong else SETTLE_SECONDS)
        while time.monotonic() < give_up:
            if await everything_taken(self._broker.kafka, self._leg):
                return True
            await asyncio.sleep(0.5)
        return False
