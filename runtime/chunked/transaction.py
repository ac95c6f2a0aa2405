"""One transaction of one partition: changed state, outputs and source offsets, written together or not at all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError
from aiokafka.structs import OffsetAndMetadata

from runtime.chunked.errors import RecordTooLarge
from runtime.chunked.leg import Output
from runtime.chunked.privates import append
from runtime.settings import KafkaSettings

# Below the broker's default limit for one record batch (1,048,588). A record that alone is larger goes in its own batch.
BATCH_BYTES = 1 << 20

# What a worker that dies inside a transaction has written hides later records of all those partitions from every
# read_committed reader until the broker ends the transaction: keep it short.
TRANSACTION_TIMEOUT_MS = 10_000
CONNECT_SECONDS = 30.0

_KeyValue = tuple[bytes | None, bytes | None]


class Transaction(NamedTuple):
    """What one collect gave, with the positions of the same moment."""

    changelog: TopicPartition
    state: Mapping[bytes, bytes | None]
    outputs: Sequence[Output]
    offsets: Mapping[TopicPartition, int]
    group: str

    def __bool__(self) -> bool:
        return bool(self.state or self.outputs or self.offsets)


async def fence(kafka: KafkaSettings, transactional_id: str) -> AIOKafkaProducer:
    """A started producer. Whoever used this id before is fenced and their open transaction has ended.

    Waits for a broker that is away; KafkaConnectionError when that lasts.
    """
    give_up = time.monotonic() + CONNECT_SECONDS
    while True:
        producer = AIOKafkaProducer(
            **kafka.client(),
            transactional_id=transactional_id,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            acks="all",
            max_batch_size=BATCH_BYTES,
            # A transaction that follows the last too soon is refused for a moment (its markers are still being written).
            retry_backoff_ms=20,
        )
        try:
            await producer.start()
            return producer
        except KafkaConnectionError:
            await producer.stop()
            if time.monotonic() > give_up:
                raise
            await asyncio.sleep(0.5)
        except BaseException:
            await producer.stop()
            raise


async def commit(producer: AIOKafkaProducer, transaction: Transaction) -> None:
    """Write and commit. Raises RecordTooLarge, or the producer's errors: then nothing of it is visible, ever."""
    async with producer.transaction():
        sent = await _send(producer, transaction)
        if transaction.offsets:
            offsets = {tp: OffsetAndMetadata(offset, "") for tp, offset in transaction.offsets.items()}
            sent.append(asyncio.ensure_future(producer.send_offsets_to_transaction(offsets, transaction.group)))
        await asyncio.gather(*sent)


async def _send(producer: AIOKafkaProducer, transaction: Transaction) -> list[asyncio.Future[object]]:
    groups: dict[tuple[str, int], list[_KeyValue]] = {}
    if transaction.state:
        groups[transaction.changelog] = list(transaction.state.items())
    for output in transaction.outputs:
        place = output.topic, output.partition
        group = groups.get(place)
        if group is None:
            group = groups[place] = []
        group.append((output.key, output.value))
    sent: list[asyncio.Future[object]] = []
    for (topic, partition), records in groups.items():
        sent += await _send_records(producer, topic, partition, records)
    return sent


async def _send_records(
    producer: AIOKafkaProducer, topic: str, partition: int, records: list[_KeyValue]
) -> list[asyncio.Future[object]]:
    now, sent = int(time.time() * 1000), []
    while records:
        batch = producer.create_batch()
        count = append(batch, records, now)  # a first record always fits
        done, records = (records, []) if count == len(records) else (records[:count], records[count:])
        sent.append(_checked(await producer.send_batch(batch, topic, partition=partition), topic, done))
    return sent


def _checked(sent: asyncio.Future[object], topic: str, records: list[_KeyValue]) -> asyncio.Future[object]:
    async def check() -> object:
        try:
            return await sent
        except MessageSizeTooLargeError as error:
            size, key = max((len(key or b"") + len(value or b""), key or b"") for key, value in records)
            raise RecordTooLarge(
                f"{topic} does not take a record of {size} bytes, key {key[:200]!r}: raise the topic's max.message.bytes"
            ) from error

    return asyncio.ensure_future(check())
