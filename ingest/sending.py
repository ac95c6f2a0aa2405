"""Chunks of an import → Kafka: several on their way at once, each sent again until the broker has it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ingest.budget import BrokerAway, Budget, Overloaded, Unavailable
from ingest.importing import Chunk, letter
from ingest.producer import Producer
from runtime.settings import KafkaSettings
from schemas.topics import DEAD_LETTERS, TOUCHPOINTS

MAX_BYTES = 32 << 20
MAX_CHUNKS = 16
LINGER = 0.002
ACK_SECONDS = 10.0

Records = dict[str, list[tuple[bytes, bytes]]]


class _OnItsWay(NamedTuple):
    chunk: Chunk
    records: Records
    acknowledged: asyncio.Future[None]


class Sender:
    """Sends the chunks of one file. `done(chunk)` is called in the file's order, after the broker has the chunk."""

    def __init__(
        self,
        kafka: KafkaSettings,
        file: str,
        source: str,
        *,
        patience: float,
        done: Callable[[Chunk], None],
    ) -> None:
        """`patience`: seconds to wait for a broker that is away, before `BrokerAway` is raised."""
        self._file = file
        self._source = source
        self._patience = patience
        self._done = done
        topics = (TOUCHPOINTS.name, DEAD_LETTERS.name)
        self._producer = Producer(kafka, topics, Budget(MAX_BYTES), linger=LINGER, ack_timeout=ACK_SECONDS)

    async def send(self, chunks: Iterator[Chunk], rate: float | None) -> None:
        """Send everything, at most `rate` touchpoints a second. Raises BrokerAway."""
        await self._producer.start()
        waiting: deque[_OnItsWay] = deque()
        began, sent = time.monotonic(), 0
        try:
            for chunk in chunks:
                records = self._records(chunk)
                waiting.append(_OnItsWay(chunk, records, await self._put(records)))
                while len(waiting) >= MAX_CHUNKS or (waiting and waiting[0].acknowledged.done()):
                    await self._settle(waiting.popleft())
                sent += len(chunk.accepted)
                ahead = sent / rate - (time.monotonic() - began) if rate else 0.0
                await asyncio.sleep(max(0.0, ahead))
            while waiting:
                await self._settle(waiting.popleft())
        finally:
            await self._producer.stop()

    async def _settle(self, sending: _OnItsWay) -> None:
        """Wait for the broker; send again what it did not acknowledge. A touchpoint sent twice counts once."""
        acknowledged = sending.acknowledged
        give_up = time.monotonic() + self._patience
        while True:
            try:
                await acknowledged
            except BrokerAway:
                if time.monotonic() > give_up:
                    raise
                acknowledged = await self._put(sending.records)
            else:
                self._done(sending.chunk)
                return

    async def _put(self, records: Records) -> asyncio.Future[None]:
        give_up = time.monotonic() + self._patience
        while True:
            try:
                return self._producer.put(time.time_ns() // 1_000_000, records)
            except Unavailable as unavailable:
                if time.monotonic() > give_up and not isinstance(unavailable, Overloaded):
                    raise
                await asyncio.sleep(0.05)

    def _records(self, chunk: Chunk) -> Records:
        at = time.time_ns() // 1_000_000
        key = self._source.encode()
        letters = (letter(self._file, self._source, row, rejected, at) for row, rejected in chunk.rejected)
        dead = [(key, value) for value in letters if value is not None]
        records: Records = {TOUCHPOINTS.name: list(chunk.accepted)}
        return records | {DEAD_LETTERS.name: dead} if dead else records
