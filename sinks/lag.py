"""How far behind the sink is, also while it stands still: asked of Kafka, not learnt from what is read."""

from __future__ import annotations

import asyncio

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import IllegalStateError, KafkaError

from runtime import metrics
from runtime.settings import KafkaSettings
from runtime.stopping import stopped

log = structlog.get_logger()
EVERY_SECONDS = 5.0


async def watch(kafka: KafkaSettings, group: str, consumer: AIOKafkaConsumer, stop: asyncio.Event) -> None:
    """Measure every five seconds until `stop`, of the partitions that are ours. While Kafka is away the last measure stays."""
    admin = AIOKafkaAdminClient(**kafka.client())
    await admin.start()
    measured: frozenset[TopicPartition] = frozenset()
    try:
        while not stop.is_set():
            try:
                measured = await _measure(admin, group, consumer, measured)
            except (KafkaError, IllegalStateError) as error:  # the latter: a partition moved away just now
                log.info("lag not measured", error=repr(error))
            await stopped(stop, EVERY_SECONDS)
    finally:
        await admin.close()


async def _measure(
    admin: AIOKafkaAdminClient, group: str, consumer: AIOKafkaConsumer, before: frozenset[TopicPartition]
) -> frozenset[TopicPartition]:
    """What has been measured; what is no longer ours another process measures now."""
    assigned = frozenset(consumer.assignment())
    for tp in before - assigned:
        metrics.SINK_LAG.remove(tp.topic, str(tp.partition))
    if not assigned:
        return assigned
    committed = {tp: found.offset for tp, found in (await admin.list_consumer_group_offsets(group)).items()}
    begins = await consumer.beginning_offsets([tp for tp in assigned if committed.get(tp, -1) < 0])
    for tp, end in (await consumer.end_offsets(assigned)).items():
        at = begins[tp] if tp in begins else committed[tp]
        metrics.SINK_LAG.labels(tp.topic, tp.partition).set(max(0, end - at))
    return assigned
