"""What processes share about Kafka: the partitioner, creating topics, waiting for a broker, reading a whole topic."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import TopicAlreadyExistsError

from runtime.settings import KafkaSettings

ANSWER_SECONDS = 10.0


@lru_cache(maxsize=1 << 16)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition that Kafka's default partitioner gives a key."""
    return place_of(key) % partitions


def place_of(key: bytes) -> int:
    """Where a key hashes to, whatever the number of partitions: murmur2 as in Java's clients, sign bit cleared."""
    length = len(key)
    whole = length & ~3
    # The numbers stand here as they are, not by name: Python reads them twice as fast, and every new key comes through here.
    h = 0x9747B28C ^ length
    for word in _words(length >> 2).unpack_from(key):
        k = word * 0x5BD1E995 & 0xFFFFFFFF
        h = (h * 0x5BD1E995 ^ (k ^ k >> 24) * 0x5BD1E995) & 0xFFFFFFFF
    if length > whole:
        h = (h ^ int.from_bytes(key[whole:], "little")) * 0x5BD1E995 & 0xFFFFFFFF
    h = (h ^ h >> 13) * 0x5BD1E995 & 0xFFFFFFFF
    return (h ^ h >> 15) & 0x7FFFFFFF


@lru_cache(maxsize=1024)
def _words(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}I")


class TopicSpec(NamedTuple):
    """A topic as it is to be created; `config` are Kafka's own topic settings, as text."""

    name: str
    partitions: int
    config: Mapping[str, str] = {}


def create_topics(kafka: KafkaSettings, specs: Iterable[TopicSpec]) -> list[str]:
    """Create the topics that do not exist yet, and wait until they are visible; names of those created."""
    admin = KafkaAdminClient(**kafka.client())
    try:
        created = []
        for spec in specs:
            topic = NewTopic(spec.name, spec.partitions, kafka.replication, topic_configs=dict(spec.config))
            try:
                admin.create_topics([topic], wait_for_metadata=True)
            except TopicAlreadyExistsError:
                continue
            created.append(spec.name)
        return created
    finally:
        admin.close()


def delete_topics(kafka: KafkaSettings, names: Iterable[str]) -> None:
    """Delete topics with everything in them."""
    admin = KafkaAdminClient(**kafka.client())
    try:
        admin.delete_topics(list(names))
    finally:
        admin.close()


@asynccontextmanager
async def reader(kafka: KafkaSettings, **settings: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """A started `read_committed` consumer; `settings` are aiokafka's."""
    consumer = AIOKafkaConsumer(
        **kafka.client(), isolation_level="read_committed", enable_auto_commit=False, **settings
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def wait_for_broker(kafka: KafkaSettings, seconds: float = 60.0) -> None:
    """Return when the cluster answers a metadata request; TimeoutError after `seconds`.

    aiokafka asks at once and again every 100 ms; kafka-python's constructor backs off and notices up to 28 s late.
    """
    give_up = time.monotonic() + seconds
    while True:
        try:
            async with reader(kafka) as consumer:
                await consumer.topics()
                return
        except (KafkaError, OSError) as error:
            if time.monotonic() > give_up:
                raise TimeoutError(f"no Kafka at {kafka.bootstrap} after {seconds:.0f} s: {error}") from error
            await asyncio.sleep(0.1)


class Record(NamedTuple):
    """One record of a topic; `timestamp` in ms."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


async def partition_counts(kafka: KafkaSettings, topics: Iterable[str], seconds: float = 10.0) -> dict[str, int]:
    """Numbers of partitions; KafkaConnectionError when one of the topics is unknown for so long."""
    names, give_up = list(topics), time.monotonic() + seconds
    admin = AIOKafkaAdminClient(**kafka.client())
    await admin.start()
    try:
        while True:
            described = await admin.describe_topics(names)
            counts = {topic["topic"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}
            missing = [name for name in names if not counts.get(name)]
            if not missing:
                return counts
            if time.monotonic() > give_up:
                raise KafkaConnectionError(f"no topic {', '.join(missing)} at {kafka.bootstrap}")
            await asyncio.sleep(0.1)
    finally:
        await admin.close()


async def read_topic(kafka: KafkaSettings, topic: str, starts: Mapping[int, int] | None = None) -> list[Record]:
    """Everything committed in a topic up to its last stable offset, partition by partition, in log order.

    `starts` gives offsets to begin at, by partition; without it, the beginning. For tests and tools: it is all in memory.
    """
    count = (await partition_counts(kafka, [topic]))[topic]
    async with reader(kafka, max_partition_fetch_bytes=4 << 20) as consumer:
        partitions = [TopicPartition(topic, number) for number in range(count)]
        consumer.assign(partitions)
        begins = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
        for tp in partitions:
            consumer.seek(tp, max(begins[tp], (starts or {}).get(tp.partition, 0)))
        found: dict[int, list[Record]] = {tp.partition: [] for tp in partitions}
        while [tp for tp in partitions if await consumer.position(tp) < ends[tp]]:
            for tp, records in (await consumer.getmany(timeout_ms=200)).items():
                found[tp.partition] += (
                    Record(tp.partition, r.offset, r.timestamp, r.key, r.value) for r in records if r.offset < ends[tp]
                )
        return [record for number in sorted(found) for record in found[number]]


async def with_records(
    consumer: AIOKafkaConsumer,
    unread: Mapping[TopicPartition, tuple[int, int]],
    counts: Callable[[Any], bool] = lambda _: True,
) -> set[TopicPartition]:
    """The partitions that have a record that `counts` between two offsets; there may be only markers of transactions, or
    what was aborted.

    All at once, for each new assignment of the consumer costs a third of a second. A partition that does not answer within
    `ANSWER_SECONDS` is said to have one.
    """
    left = {tp: end for tp, (_, end) in unread.items()}
    if not left:
        return set()
    consumer.assign(list(left))
    for tp, (start, _) in unread.items():
        consumer.seek(tp, start)
    found: set[TopicPartition] = set()
    give_up = time.monotonic() + ANSWER_SECONDS
    while left and time.monotonic() < give_up:
        for tp, records in (await consumer.getmany(*left, timeout_ms=50)).items():
            if any(record.offset < left[tp] and counts(record) for record in records):
                found.add(tp)
                del left[tp]
        for tp in list(left):
            if await consumer.position(tp) >= left[tp]:
                del left[tp]
    return found | left.keys()
