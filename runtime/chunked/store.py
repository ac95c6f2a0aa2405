"""The state of the partitions that this process owns, for one leg: which they are, and that they stay consistent.

Partition p of the leg is partition p of every source. Kafka decides who owns it; the transactional id
`{leg}-{p}` decides who can write it. Anything that fails ends the process: see `worker.py`.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import structlog
from faust.types import TP

from runtime import metrics
from runtime.chunked.errors import NotCoPartitioned
from runtime.chunked.leg import Leg
from runtime.chunked.owned import OwnedPartition
from runtime.chunked.privates import ChunkApp, ChunkConsumer, Fetched
from runtime.chunked.settings import TICK_SECONDS, StoreSettings
from runtime.settings import KafkaSettings

# Within these a leg that gives partitions away commits what it has; the new owner waits for it, so it is short.
REVOKE_FLUSH_SECONDS = 2.0
STOP_FLUSH_SECONDS = 5.0

log = structlog.get_logger()


class StateStore:
    """Opens, keeps and closes partitions as the group assigns them; hands chunks to them; lets them tick."""

    def __init__(
        self,
        leg: Leg,
        app: ChunkApp,
        kafka: KafkaSettings,
        settings: StoreSettings,
        fail: Callable[[BaseException], None],
    ) -> None:
        self.leg, self.kafka, self.settings = leg, kafka, settings
        self._app, self._fail = app, fail
        self._partitions: dict[int, OwnedPartition] = {}
        self._generation: int | None = None
        self._seeks = itertools.count(1)
        self._stopping = False
        app.fetchable = self._fetchable
        app.on_partitions_revoked.connect(self._revoked, weak=False)
        app.on_partitions_assigned.connect(self._assigned, weak=False)

    @property
    def consumer(self) -> ChunkConsumer:
        """Where chunks come from."""
        consumer: ChunkConsumer = self._app.consumer
        return consumer

    @property
    def problem(self) -> str:
        """Why not every partition that is ours is read; "" while each is. May be asked from another thread."""
        if self._generation is None:
            return "its group has not assigned partitions yet"
        opening = sorted(number for number, one in self._partitions.copy().items() if not one.ready)
        return f"opening partitions {', '.join(map(str, opening))}" if opening else ""

    def next_seek(self) -> int:
        """A number that no earlier seek of this process has."""
        return next(self._seeks)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run beside everything else; an error ends the process."""

        async def guarded() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 - whatever it is, it is reported and the process ends
                self._fail(error)

        return asyncio.create_task(guarded())

    def take(self, fetched: Fetched) -> None:
        """Hand a chunk to its partition; dropped if it is not ours (it will be read again by who owns it)."""
        partition = self._partitions.get(fetched.chunk.partition)
        if partition is not None:
            partition.take(fetched)

    async def run(self) -> None:
        """Tick the open partitions, for ever."""
        while True:
            now = int(time.time() * 1000)
            for partition in list(self._partitions.values()):
                partition.tick(now)
            metrics.LEG_OPEN_PARTITIONS.labels(self.leg.name).set(sum(p.ready for p in self._partitions.values()))
            await asyncio.sleep(TICK_SECONDS)

    async def stop(self) -> None:
        """Take no more, commit what is pending, close. Before the consumer leaves the group, so nobody fences us."""
        self._stopping = True
        await self._flush(STOP_FLUSH_SECONDS)
        await asyncio.gather(*(partition.close() for partition in self._partitions.values()))
        self._partitions = {}

    def _fetchable(self, tp: TP) -> bool:
        partition = self._partitions.get(tp.partition)
        return partition is not None and partition.ready and not partition.full

    async def _flush(self, seconds: float) -> None:
        for partition in self._partitions.values():
            partition.ready = False
        flushes = [asyncio.ensure_future(partition.flush()) for partition in self._partitions.values()]
        if not flushes:
            return
        _, late = await asyncio.wait(flushes, timeout=seconds)
        for flush in late:
            flush.cancel()
        if late:
            log.warning("not everything could be committed in time; it will be read again", leg=self.leg.name)

    async def _revoked(self, app: ChunkApp, revoked: Iterable[TP], **_: Any) -> None:
        """Every partition (eager protocol). Commit now: whoever gets them next starts where we stop."""
        if not self._stopping:
            await self._flush(REVOKE_FLUSH_SECONDS)

    async def _assigned(self, app: ChunkApp, assigned: Iterable[TP], **_: Any) -> None:
        if self._stopping:
            return
        generation = app.consumer_generation_id
        # Exactly the next generation: we were in both, so nobody else owned in between what we had and have. Otherwise
        # somebody may have: what is in memory could be old.
        keep = self._generation is not None and generation == self._generation + 1
        self._generation = generation
        numbers = {topic: {tp.partition for tp in assigned if tp.topic == topic} for topic in self.leg.sources}
        mine = numbers[self.leg.sources[0]]
        log.info("partitions assigned", leg=self.leg.name, generation=generation, kept=keep, partitions=sorted(mine))
        if any(other != mine for other in numbers.values()):
            listed = {topic: sorted(found) for topic, found in numbers.items()}
            self._fail(
                NotCoPartitioned(f"group {self.leg.name} was assigned different partitions of its sources: {listed}")
            )
            return
        closing = {
            number: self.spawn(self._partitions.pop(number).close())
            for number in list(self._partitions)
            if number not in mine or not keep
        }
        for number in sorted(mine):
            if number in self._partitions:
                self._partitions[number].assigned_again()
            else:
                self._partitions[number] = OwnedPartition(self, number, closing.get(number))
