"""How far consumer groups are, asked of the broker: nothing of the measured processes is touched."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from runtime.kafka import reader
from runtime.settings import KafkaSettings

Offsets = Mapping[TopicPartition, int]


class Groups:
    """One connection, to be opened with `async with`."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._admin = AIOKafkaAdminClient(**kafka.client())

    async def __aenter__(self) -> Groups:
        await self._admin.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._admin.close()

    async def committed(self, group: str) -> dict[TopicPartition, int]:
        """Offsets of the next records that the group will read."""
        try:
            found = await self._admin.list_consumer_group_offsets(group)
        except GroupCoordinatorNotAvailableError:  # the first group of a new broker is just being made
            return {}
        return {tp: at.offset for tp, at in found.items()}

    async def wait_for(self, group: str, ends: Offsets, seconds: float, pause: float = 0.05) -> None:
        """Return when the group has committed everything before `ends`; SystemExit after so many seconds."""
        give_up = time.monotonic() + seconds
        while True:
            committed = await self.committed(group)
            if all(committed.get(tp, 0) >= end for tp, end in ends.items()):
                return
            if time.monotonic() > give_up:
                raise SystemExit(f"{group} has not taken everything after {seconds:.0f} s: {committed} of {ends}")
            await asyncio.sleep(pause)

    async def ends(self, topic: str, partitions: int) -> dict[TopicPartition, int]:
        """The present ends of a topic for `read_committed` readers."""
        async with reader(self._kafka) as consumer:
            found = await consumer.end_offsets([TopicPartition(topic, number) for number in range(partitions)])
            return dict(found)
