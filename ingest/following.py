"""The topic `commands`, read to its end and then followed: who was erased, at most about a second late."""

from __future__ import annotations

import asyncio

import structlog
from aiokafka import TopicPartition

from ingest.erased import Erased
from runtime.kafka import partition_counts, read_topic, reader, wait_for_broker
from runtime.settings import IdentitySettings
from schemas.topics import COMMANDS

log = structlog.get_logger()

PAUSE_SECONDS = 0.5  # between two attempts to reach the broker
POLL_MS = 500
METADATA_MS = 1000  # after so long it is noticed that the topic was given more partitions


async def erased_now(kafka: IdentitySettings, patience: float) -> Erased:
    """Who is erased now. Raises KafkaError, and TimeoutError when there is no broker for `patience` seconds."""
    await wait_for_broker(kafka, patience)
    erased = Erased(kafka.secret.get_secret_value().encode())
    for record in await read_topic(kafka, COMMANDS.name):
        erased.hear(record.value)
    return erased


class Following:
    """Keeps `erased` in step with the topic. Start it without waiting for the broker: it comes and goes.

    While the broker is away, what is known goes on to hold.
    """

    def __init__(self, kafka: IdentitySettings) -> None:
        self.erased = Erased(kafka.secret.get_secret_value().encode())
        self.ready = False  # was the topic read to its end, as it was when it was first reached?
        self.problem = "it is not read yet who is erased"  # why it is not ready, for people
        self._kafka = kafka
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                await self._follow()
            except Exception as error:  # noqa: BLE001 - whatever it is: who follows no longer would let in what is erased
                self.problem = f"it cannot be read who is erased: {error}"
                if self.ready:
                    log.warning("erasures_not_followed", kafka=self._kafka.bootstrap, error=repr(error))
            await asyncio.sleep(PAUSE_SECONDS)

    async def _follow(self) -> None:
        """Read everything from the beginning, and what comes then; return when the topic has got more partitions."""
        count = (await partition_counts(self._kafka, [COMMANDS.name], seconds=0))[COMMANDS.name]
        partitions = [TopicPartition(COMMANDS.name, number) for number in range(count)]
        # What was compacted away while the broker was gone is no reason to skip the rest.
        wanted = {"auto_offset_reset": "earliest", "metadata_max_age_ms": METADATA_MS}
        async with reader(self._kafka, **wanted) as consumer:
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            ends = await consumer.end_offsets(partitions)
            while len(consumer.partitions_for_topic(COMMANDS.name) or partitions) <= count:
                for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                    for record in records:
                        self.erased.hear(record.value)
                if not self.ready and all([await consumer.position(tp) >= ends[tp] for tp in partitions]):
                    self.ready, self.problem = True, ""
                    log.info("erasures_read", kafka=self._kafka.bootstrap)
