"""How far the line has come: what each group has committed of each topic, and whether anything is still to be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from runtime.kafka import partition_counts, reader, with_records
from runtime.settings import KafkaSettings
from schemas import topics
from schemas.codec import encode
from schemas.person import ReadTo
from sinks.rows import TABLES

LEG = (topics.TOUCHPOINTS.name, topics.IDENTITY.name, topics.COMMANDS.name)
READS = {"identity": LEG, "stitch": (topics.PEOPLE.name,), "sink": tuple(TABLES)}
WATERMARK = encode(ReadTo(0, 0)).split(b",")[0]  # these come for ever, four times a second
TOPICS = tuple(sorted({topic for read in READS.values() for topic in read}))


@dataclass(frozen=True)
class Standing:
    """One look: ends are last stable offsets. `unread` names what still has records that its group has not committed."""

    ends: Mapping[TopicPartition, int]
    committed: Mapping[str, Mapping[TopicPartition, int]]
    unread: tuple[str, ...]

    def lag(self, group: str) -> int:
        """Offsets between what the group committed and the ends; transaction markers and watermarks included."""
        committed = self.committed[group]
        return sum(end - committed.get(tp, 0) for tp, end in self.ends.items() if tp.topic in READS[group])

    @property
    def lags(self) -> dict[str, int]:
        return {group: self.lag(group) for group in READS}

    @property
    def figures(self) -> dict[str, int]:
        """Ends by topic, without the topic of watermarks: as long as these stay equal nothing moves."""
        counted = [topic for topic in TOPICS if topic != topics.PEOPLE.name]
        return {topic: sum(end for tp, end in self.ends.items() if tp.topic == topic) for topic in counted}

    def passed(self, before: Standing) -> bool:
        """Has the stitch leg committed everything that was in `people` when `before` was looked at?"""
        committed = self.committed["stitch"]
        return all(committed.get(tp, 0) >= end for tp, end in before.ends.items() if tp.topic == topics.PEOPLE.name)


async def look(kafka: KafkaSettings, thoroughly: bool = True) -> Standing:
    """Look at the line now; without `thoroughly` nothing is read and `unread` is empty. Raises KafkaError."""
    admin = AIOKafkaAdminClient(**kafka.client())
    await admin.start()
    try:
        committed = {
            group: {tp: found.offset for tp, found in (await admin.list_consumer_group_offsets(group)).items()}
            for group in READS
        }
    finally:
        await admin.close()
    counts = await partition_counts(kafka, TOPICS)
    unread: list[str] = []
    async with reader(kafka) as consumer:
        partitions = [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]
        ends = {tp: int(end) for tp, end in (await consumer.end_offsets(partitions)).items()}
        for group, read in READS.items() if thoroughly else ():
            left = {
                tp: (at, ends[tp])
                for tp in partitions
                if tp.topic in read and (at := max(committed[group].get(tp, 0), 0)) < ends[tp]
            }
            for tp in sorted(await with_records(consumer, left, _is_news)):
                unread.append(f"{group}: {tp.topic}/{tp.partition} at {left[tp][0]} of {ends[tp]}")
    return Standing(ends, committed, tuple(unread))


def _is_news(record: Any) -> bool:
    """Neither a watermark, which a leg that stands still goes on writing, nor nothing."""
    return record.value is None or not record.value.startswith(WATERMARK)
