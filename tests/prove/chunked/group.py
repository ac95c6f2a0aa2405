"""What can be seen of a running leg from outside: committed offsets, ends of logs, open transactions, metrics."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from runtime.kafka import read_topic
from runtime.settings import KafkaSettings
from tests.prove.chunked.job import PARTITIONS, Counting

T = TypeVar("T")
RETRY_SECONDS = 120.0  # a broker that was killed needs 6 s on a quiet machine, ten times as long on a starved one


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask again while the broker is away."""
    give_up = time.monotonic() + RETRY_SECONDS
    while True:
        try:
            return await asyncio.wait_for(ask(), 15)
        except (KafkaError, OSError, TimeoutError):
            if time.monotonic() > give_up:
                raise
            await asyncio.sleep(0.3)


async def committed_offsets(kafka: KafkaSettings, group: str) -> dict[tuple[str, int], int]:
    """By topic and partition."""

    async def ask() -> dict[tuple[str, int], int]:
        admin = AIOKafkaAdminClient(**kafka.client())
        try:
            await admin.start()
            found = await admin.list_consumer_group_offsets(group)
            return {(tp.topic, tp.partition): at.offset for tp, at in found.items()}
        finally:
            await admin.close()

    return await patiently(ask)


async def end_offsets(kafka: KafkaSettings, topic: str, isolation: str) -> dict[int, int]:
    """By partition; `read_committed`: last stable offsets."""

    async def ask() -> dict[int, int]:
        consumer = AIOKafkaConsumer(**kafka.client(), isolation_level=isolation)
        try:
            await consumer.start()
            ends = await consumer.end_offsets([TopicPartition(topic, number) for number in range(PARTITIONS)])
            return {tp.partition: end for tp, end in ends.items()}
        finally:
            await consumer.stop()

    return await patiently(ask)


class Moment(NamedTuple):
    """The leg at one moment, for the report."""

    committed: int
    end: int
    open_transactions: int  # partitions of the internal topic with a transaction open


async def moment(kafka: KafkaSettings, leg: Counting) -> Moment:
    """How far the leg is with its input, and how much is in flight."""
    committed = await committed_offsets(kafka, leg.name)
    ends, highs, stables = await asyncio.gather(
        end_offsets(kafka, leg.entry, "read_uncommitted"),
        end_offsets(kafka, leg.hop, "read_uncommitted"),
        end_offsets(kafka, leg.hop, "read_committed"),
    )
    done = sum(committed.get((leg.entry, number), 0) for number in range(PARTITIONS))
    return Moment(done, sum(ends.values()), sum(highs[number] > stables[number] for number in highs))


async def everything_taken(kafka: KafkaSettings, leg: Counting) -> bool:
    """Is no record of any source left beyond the committed offsets, and no transaction open?"""
    if (await moment(kafka, leg)).open_transactions:
        return False
    committed = await committed_offsets(kafka, leg.name)
    for topic in leg.sources:
        starts = {number: committed.get((topic, number), 0) for number in range(PARTITIONS)}
        if await patiently(lambda topic=topic, starts=starts: read_topic(kafka, topic, starts)):  # type: ignore[misc]
            return False
    return True


def records_taken(metrics_port: int) -> float:
    """What a worker process has taken so far, from its own metrics; 0 when it does not answer."""
    return sum(float(line.rsplit(" ", 1)[1]) for line in _metrics(metrics_port, "desireline_leg_records_total{"))


def is_up(metrics_port: int) -> bool:
    """Has a worker process come so far that it handles signals and runs its legs?"""
    return bool(_metrics(metrics_port, "desireline_leg_open_partitions{"))


def _metrics(port: int, begin: str) -> list[str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=0.5) as answer:
            return [line for line in answer.read().decode().splitlines() if line.startswith(begin)]
    except OSError:
        return []
