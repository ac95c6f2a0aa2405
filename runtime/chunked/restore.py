"""Bulk restore: a partition's whole changelog into its state, and the positions that belong to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from runtime.chunked.errors import RecordsLost
from runtime.kafka import reader
from runtime.settings import KafkaSettings

CHUNK_RECORDS = 5_000  # what is restored without letting the loop run: some milliseconds
PROGRESS_SECONDS = 2.0

log = structlog.get_logger()


class Restored(NamedTuple):
    """`committed` lacks the sources that the group has no offset for; `positions` has the next offset of every source."""

    records: int
    positions: dict[str, int]
    committed: dict[str, int]


async def restore(
    kafka: KafkaSettings,
    group: str,
    changelog: TopicPartition,
    sources: Sequence[TopicPartition],
    take: Callable[[Iterable[tuple[bytes, bytes | None]]], None],
) -> Restored:
    """Read the changelog `read_committed` to its end, then the group's offsets.

    Call it when the partition's producer has started: the owner before is fenced then and its open transaction has
    ended, so neither the log nor the offsets can move any more. Cancelling it is clean.
    """
    async with reader(
        kafka, group_id=group, max_partition_fetch_bytes=8 << 20, fetch_max_wait_ms=100, auto_offset_reset="none"
    ) as consumer:
        consumer.assign([changelog, *sources])
        consumer.pause(*sources)
        begins = await consumer.beginning_offsets([changelog, *sources])
        ends = await consumer.end_offsets([changelog, *sources])
        consumer.seek(changelog, begins[changelog])
        records = await _read(consumer, changelog, ends[changelog], take)
        committed = {tp.topic: at for tp in sources if (at := await consumer.committed(tp)) is not None}
        positions = {tp.topic: committed.get(tp.topic, begins[tp]) for tp in sources}
    if records and not committed:
        raise RecordsLost(
            f"group {group} has state in {changelog.topic} but no offsets (expired or deleted): what has it read?"
        )
    for tp in sources:
        check_position(tp, positions[tp.topic], begins[tp], ends[tp])
    return Restored(records, positions, committed)


def check_position(tp: TopicPartition, position: int, begin: int, end: int) -> None:
    """RecordsLost unless the log still has everything from `position` on."""
    if position < begin:
        raise RecordsLost(
            f"{tp.topic}-{tp.partition}: records {position}..{begin - 1} were deleted (retention) before they were read"
        )
    if position > end:
        raise RecordsLost(
            f"{tp.topic}-{tp.partition}: read up to {position}, but the log ends at {end}: another topic?"
        )


async def _read(
    consumer: AIOKafkaConsumer,
    changelog: TopicPartition,
    end: int,
    take: Callable[[Iterable[tuple[bytes, bytes | None]]], None],
) -> int:
    count, reported = 0, time.monotonic()
    while await consumer.position(changelog) < end:
        records = (await consumer.getmany(changelog, timeout_ms=200, max_records=CHUNK_RECORDS)).get(changelog, ())
        if records:
            take([(record.key, record.value) for record in records])
        count += len(records)
        if time.monotonic() - reported > PROGRESS_SECONDS:
            reported = time.monotonic()
            at = await consumer.position(changelog)
            log.info("restoring", changelog=changelog.topic, partition=changelog.partition, at=at, end=end)
        await asyncio.sleep(0)
    return count
