"""The sink: Kafka topics → ClickHouse, exactly once in effect. `python -m sinks.app`.

Offsets are committed after ClickHouse acknowledged, and every row is absolute and versioned: whatever is written twice,
by this process or by two, stays one row. Any number of sinks may run; they share the partitions.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from typing import cast

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition

from runtime import health, logging, metrics
from runtime.settings import ClickHouseSettings, KafkaSettings
from schemas import topics
from schemas.codec import encode
from schemas.dead_letter import dead_letter
from schemas.definition import DefinitionsError, load_definitions
from sinks import disks, lag
from sinks.clickhouse import HttpWriter
from sinks.consume import consume
from sinks.delivery import Delivery, GaveUp
from sinks.pain.keeping import keep_ranked
from sinks.rollups import keep_fresh
from sinks.rows import TABLES, Record, address_of
from sinks.settings import SinkSettings
from sinks.stages import stage_lines
from sinks.writer import Bad

log = structlog.get_logger()
UNEXPECTED = 70  # exit code: let the supervisor start us again
WRONG_SETTINGS = 2  # exit code: starting again will not help
DAY_MS = 86_400_000
LEADING = TopicPartition(topics.TOUCHPOINTS.name, 0)  # who reads this one keeps the figures that are prepared


class _Sent(msgspec.Struct):
    source: str = "unknown"


_sent = msgspec.json.Decoder(_Sent)


def _source_of(value: bytes) -> str:
    try:
        return _sent.decode(value).source
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "unknown"


def unwritable(bad: Bad, at: int) -> bytes:
    """The dead letter of a row that ClickHouse refuses, encoded. `at` in ms UTC."""
    record = cast(Record, bad.record)
    return encode(
        dead_letter(
            record.value,
            source=_source_of(record.value),
            leg="sink",
            reason="unwritable",
            message=bad.message,
            address=address_of(record),
            at=at,
        )
    )


async def run(
    settings: SinkSettings,
    kafka: KafkaSettings,
    clickhouse: ClickHouseSettings,
    stages: Sequence[bytes],
    readiness: health.Readiness,
    stop: asyncio.Event,
) -> None:
    """Sink until `stop`, then finish the batch, commit and return. `stages` are the lines of that table. Ready while it has
    partitions and ClickHouse takes rows."""
    writer = HttpWriter(clickhouse)
    delivery = Delivery(writer, settings.retry_seconds, stop, settings.generation)
    readiness.ask(lambda: delivery.problem)
    await delivery.until_available(lambda: writer.write("stages", stages), "stages")
    consumer = AIOKafkaConsumer(
        **kafka.client(),
        group_id=settings.group,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 << 20,
        # A topic that gets a record every few milliseconds would have as many fetches: each costs much the same.
        fetch_min_bytes=64 << 10,
        fetch_max_wait_ms=30,
        metadata_max_age_ms=5_000,  # generations, and partitions that `topics resize` adds, are noticed that soon
        session_timeout_ms=6_000,
        heartbeat_interval_ms=1_500,
        rebalance_timeout_ms=10_000,
        max_poll_interval_ms=DAY_MS,  # while ClickHouse is away we do not poll, and keep our partitions
    )
    # Topics of every generation that there is.
    consumer.subscribe(pattern=topics.pattern(TABLES), listener=_Assigned(readiness))
    producer = AIOKafkaProducer(**kafka.client(), acks="all", enable_idempotence=True)

    async def deliver(topic: str, records: Sequence[Record]) -> None:
        for bad in await delivery.deliver(topic, records):
            letter = unwritable(bad, int(time.time() * 1000))
            source = _source_of(cast(Record, bad.record).value)
            await producer.send_and_wait(topics.DEAD_LETTERS.name, letter, key=source.encode())
            metrics.SINK_DEAD_LETTERS.inc()
            log.warning("row refused", address=address_of(cast(Record, bad.record)), error=bad.message)

    await producer.start()
    try:
        await consumer.start()
        try:

            def leading() -> bool:
                return LEADING in consumer.assignment()

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(keep_fresh(clickhouse, settings.refresh_seconds, leading, stop))
                tasks.create_task(keep_ranked(clickhouse, settings.pain_seconds, leading, stop))
                tasks.create_task(disks.watch(kafka, clickhouse, leading, stop))
                tasks.create_task(lag.watch(kafka, settings.group, consumer, stop))
                await consume(consumer, deliver, delivery.settle, settings, stop)
        finally:
            await consumer.stop()
    finally:
        await producer.stop()
        writer.close()


class _Assigned(ConsumerRebalanceListener):  # type: ignore[misc]
    """The first assignment of the group makes us ready, were it of no partitions."""

    def __init__(self, readiness: health.Readiness) -> None:
        self._readiness = readiness

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """What is written twice stays one row."""

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._readiness.problem = ""


async def _main(
    settings: SinkSettings,
    kafka: KafkaSettings,
    clickhouse: ClickHouseSettings,
    stages: Sequence[bytes],
    readiness: health.Readiness,
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run(settings, kafka, clickhouse, stages, readiness, stop)


def main() -> None:
    settings = SinkSettings()
    logging.configure("sink", settings.log_level)
    try:
        stages = stage_lines(load_definitions(settings.definitions), settings.generation)
    except DefinitionsError as error:
        log.error("not started: the file of journeys cannot be used", error=str(error))
        sys.exit(WRONG_SETTINGS)
    readiness = health.Readiness()
    health.serve(settings, readiness)
    try:
        asyncio.run(_main(settings, KafkaSettings(), ClickHouseSettings(), stages, readiness))
    except* GaveUp as gave_up:
        first: BaseException = gave_up  # a group of groups
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        log.warning("stopped while ClickHouse was away; the last batches will be read again", error=str(first))
    except* Exception:
        log.exception("the sink ends unexpectedly")
        sys.exit(UNEXPECTED)


if __name__ == "__main__":
    main()
