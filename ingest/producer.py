"""Writes to Kafka for many callers at once: what arrives within a few milliseconds leaves as one batch per partition.

aiokafka's own `send` costs 15 µs a record; batches that we fill ourselves cost 2. Without Kafka's idempotence on purpose:
aiokafka's idempotent producer never gives a batch up, so after an outage it would write what its senders were long told to
send again, and it cannot be closed while the broker is away. A retry may thus write a touchpoint twice, as a client's
own resend does, and the event id makes one of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

from ingest.budget import BrokerAway, Budget
from runtime.kafka import partition_of
from runtime.settings import KafkaSettings

log = structlog.get_logger()

MAX_BATCH_BYTES = 512 * 1024  # far below what the topics take, for one record may be as large again
PROBE_SECONDS = 1.0

Place = tuple[str, int]  # topic and partition


class _Window:
    """What leaves together. `acknowledged` is done when the broker has all of it."""

    def __init__(self, new_batch: Callable[[], BatchBuilder]) -> None:
        self._new_batch = new_batch
        self.batches: dict[Place, list[BatchBuilder]] = {}
        self.bytes = 0
        self.acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Whoever waited may have gone; its error is no surprise then.
        self.acknowledged.add_done_callback(lambda done: done.cancelled() or done.exception())

    def add(self, place: Place, at: int, key: bytes, value: bytes) -> None:
        batches = self.batches.get(place)
        if batches is None:
            batches = self.batches[place] = [self._new_batch()]
        if batches[-1].append(timestamp=at, key=key, value=value) is None:  # full
            batches.append(self._new_batch())
            batches[-1].append(timestamp=at, key=key, value=value)


class Producer:
    """One connection to the cluster for the topics named. Start it without waiting for the broker: it comes and goes."""

    def __init__(
        self, kafka: KafkaSettings, topics: Sequence[str], budget: Budget, *, linger: float, ack_timeout: float
    ) -> None:
        """`linger` and `ack_timeout` in seconds; `budget` limits what may wait for its acknowledgement."""
        self._kafka = kafka
        self._topics = topics
        self._linger = linger
        self._ack_timeout = ack_timeout
        self._budget = budget
        self._partitions: dict[str, int] = {}
        self._client: AIOKafkaProducer | None = None
        self._window: _Window | None = None  # fills
        self._sending: _Window | None = None
        self._filled = asyncio.Event()
        self._seen = float("-inf")
        self._task: asyncio.Task[None] | None = None
        self.problem = "not connected yet"  # why it is not ready, for people

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Write what waits, as far as the broker takes it within the time limit, and close."""
        waiting = [window.acknowledged for window in (self._sending, self._window) if window is not None]
        if waiting:
            await asyncio.wait(waiting, timeout=self._ack_timeout)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def ready(self) -> bool:
        """Did the broker answer during the last few seconds, and does it have the topics?"""
        recently = asyncio.get_running_loop().time() - self._seen < 5 * PROBE_SECONDS
        return recently and all(self._partitions.get(topic) for topic in self._topics)

    def put(self, at: int, records: Mapping[str, Sequence[tuple[bytes, bytes]]]) -> asyncio.Future[None]:
        """Write (key, value) pairs by topic, `at` in ms UTC. Done when all are acknowledged; it then raises `BrokerAway`
        if they are not. Raises `Unavailable` at once if they cannot even wait, and then takes none of them."""
        if self._client is None or not all(self._partitions.get(topic) for topic in records):
            raise BrokerAway(self.problem, retry_after=2)
        size = sum(len(key) + len(value) for pairs in records.values() for key, value in pairs)
        self._budget.take(size)
        window = self._window
        if window is None:
            window = self._window = _Window(self._client.create_batch)
            self._filled.set()
        window.bytes += size
        for topic, pairs in records.items():
            partitions = self._partitions[topic]
            for key, value in pairs:
                window.add((topic, partition_of(key, partitions)), at, key, value)
        return window.acknowledged

    async def _run(self) -> None:
        client = await self._connected()
        pump, probe = asyncio.create_task(self._pump(client)), asyncio.create_task(self._probe(client))
        try:
            await asyncio.gather(pump, probe)
        finally:
            pump.cancel()
            probe.cancel()
            await client.stop()

    async def _connected(self) -> AIOKafkaProducer:
        while True:
            client = AIOKafkaProducer(
                **self._kafka.client(),
                acks="all",
                max_batch_size=MAX_BATCH_BYTES,
                request_timeout_ms=int(self._ack_timeout * 1000),
                retry_backoff_ms=50,
                metadata_max_age_ms=30_000,
            )
            try:
                await client.start()
            except (KafkaError, OSError) as error:
                self.problem = f"no Kafka at {self._kafka.bootstrap}: {error}"
                await client.stop()
                await asyncio.sleep(PROBE_SECONDS / 2)
            except asyncio.CancelledError:
                await client.stop()
                raise
            else:
                self._client = client
                return client

    async def _probe(self, client: AIOKafkaProducer) -> None:
        """Ask for the metadata again and again: is the broker there, and how many partitions do the topics have?"""
        while True:
            try:
                cluster = await client.client.fetch_all_metadata()
            except Exception as error:  # noqa: BLE001 - whatever it is: a probe that ends would silently end all writing
                if self.ready:
                    log.warning("broker_away", kafka=self._kafka.bootstrap, error=repr(error))
                self.problem = f"no Kafka at {self._kafka.bootstrap}: {error}"
            else:
                if not self.ready:
                    log.info("broker_reached", kafka=self._kafka.bootstrap)
                self._partitions = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in self._topics}
                self._seen = asyncio.get_running_loop().time()
                missing = [topic for topic, count in self._partitions.items() if not count]
                self.problem = f"no topic {', '.join(missing)}: run desireline topics create" if missing else ""
            await asyncio.sleep(PROBE_SECONDS)

    async def _pump(self, client: AIOKafkaProducer) -> None:
        """Close a window after the linger and send it, while the next one fills. One at a time: aiokafka keeps one request
        to a broker in flight anyway, and the busier it is, the larger the batches become."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            await asyncio.sleep(self._linger)
            self._sending, self._window = self._window, None
            assert self._sending is not None
            await self._send(client, self._sending)
            self._sending = None

    async def _send(self, client: AIOKafkaProducer, window: _Window) -> None:
        async def in_order(place: Place, batches: list[BatchBuilder]) -> None:
            topic, partition = place
            waits = [await client.send_batch(batch, topic, partition=partition) for batch in batches]
            await asyncio.gather(*waits)

        try:
            outcomes = await asyncio.gather(
                *(in_order(place, batches) for place, batches in window.batches.items()), return_exceptions=True
            )
        finally:
            self._budget.give_back(window.bytes)
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if window.acknowledged.done():
            return
        if failures:
            log.warning("touchpoints_not_acknowledged", bytes=window.bytes, error=repr(failures[0]))
            window.acknowledged.set_exception(BrokerAway(f"not acknowledged: {failures[0]!r}", retry_after=2))
        else:
            window.acknowledged.set_result(None)
