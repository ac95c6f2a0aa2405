"""Where a generation that is built from ClickHouse reads on in the log, and what became of everything before.

Each touchpoint that a partition of the identity leg reads adds one to its counts, so their sum is the position that they belong
to. With what the live generation has counted up to there the new one begins; of the touchpoints before there it takes from
ClickHouse what stands.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from runtime.generations import CannotReplay
from runtime.kafka import partition_counts, reader
from runtime.settings import KafkaSettings
from schemas import topics
from schemas.ledger import Counted

PAUSE_SECONDS = 0.05
PEEK_SECONDS = 10.0
SUNK_SECONDS = 60.0

_counted = msgspec.json.Decoder(Counted)


class Cut(NamedTuple):
    """Positions in `touchpoints`, and counts with their partition. `doubtful`: partitions whose counts are not of there."""

    positions: dict[TopicPartition, int]
    counts: list[tuple[int, Counted]]
    doubtful: list[int]


class Ledger:
    """The newest counts of the identity leg of one generation, by partition; for the generation `target`. Pure."""

    def __init__(self, generation: int, target: int) -> None:
        self._generation, self._target = generation, target
        self._newest: dict[int, dict[tuple[str, int], Counted]] = {}

    def take(self, values: Iterable[bytes | None]) -> None:
        """Records of the topic, in the order of the log."""
        for value in values:
            if value is None:
                continue
            one = _counted.decode(value)
            if (one.leg, one.generation) == ("identity", self._generation):
                self._newest.setdefault(one.partition, {})[one.source, one.hour] = one

    def sum(self, partition: int) -> int:
        """How many touchpoints were counted there."""
        return sum(sum(one.counts.values()) for one in self._newest.get(partition, {}).values())

    def of(self, partition: int) -> list[tuple[int, Counted]]:
        """Its counts, as those of the other generation."""
        found = self._newest.get(partition, {}).values()
        return [(partition, msgspec.structs.replace(one, generation=self._target)) for one in found]


async def cut(kafka: KafkaSettings, live: int, generation: int, seconds: float = 30.0) -> Cut:
    """Where the live generation is now, and what it has counted up to there.

    After `seconds` positions are taken to which the counts do not belong. Raises KafkaError.
    """
    count = (await partition_counts(kafka, [topics.TOUCHPOINTS.name]))[topics.TOUCHPOINTS.name]
    left = [TopicPartition(topics.TOUCHPOINTS.name, number) for number in range(count)]
    group, ledger = topics.Generation(live).group("identity"), Ledger(live, generation)
    found = Cut({}, [], [])
    been: dict[TopicPartition, set[int]] = {place: set() for place in left}
    give_up = time.monotonic() + seconds
    async with reader(kafka, max_partition_fetch_bytes=4 << 20) as consumer:
        written = (await partition_counts(kafka, [topics.LEDGER.name]))[topics.LEDGER.name]
        consumer.assign([TopicPartition(topics.LEDGER.name, number) for number in range(written)])
        await consumer.seek_to_beginning()
        begins = await consumer.beginning_offsets(left)
        while left:
            at = await positions(kafka, group)
            await _to_the_end(consumer, ledger)
            for place in list(left):
                been[place].add(at.get(place, 0))
                counted = ledger.sum(place.partition)
                if counted in been[place] and counted >= begins[place]:
                    found.positions[place] = counted
                elif time.monotonic() > give_up:
                    found.positions[place] = max(at.get(place, 0), begins[place])
                    found.doubtful.append(place.partition)
                else:
                    continue
                found.counts.extend(ledger.of(place.partition))
                left.remove(place)
            await asyncio.sleep(PAUSE_SECONDS if left else 0)
    return found


async def positions(kafka: KafkaSettings, group: str) -> Mapping[TopicPartition, int]:
    """What a group has committed. Raises KafkaError."""
    admin = AIOKafkaAdminClient(**kafka.client())
    await admin.start()
    try:
        return {tp: int(found.offset) for tp, found in (await admin.list_consumer_group_offsets(group)).items()}
    finally:
        await admin.close()


async def appended(kafka: KafkaSettings, places: Mapping[TopicPartition, int], now: int) -> dict[int, int]:
    """When what is at these positions, or next, was appended (ms UTC), by partition; `now` where there is nothing."""
    found = dict.fromkeys((place.partition for place in places), now)
    async with reader(kafka) as consumer:
        ends = await consumer.end_offsets(list(places))
        left = {place for place, at in places.items() if at < ends[place]}
        consumer.assign(list(left))
        for place in left:
            consumer.seek(place, places[place])
        give_up = time.monotonic() + PEEK_SECONDS
        while left and time.monotonic() < give_up:
            for place, records in (await consumer.getmany(*left, timeout_ms=200)).items():
                found[place.partition] = records[0].timestamp
                left.discard(place)
    return found


async def until_sunk(kafka: KafkaSettings, sink_group: str, places: Mapping[TopicPartition, int]) -> None:
    """Return when ClickHouse has everything before these positions; CannotReplay if not within a minute; KafkaError."""
    give_up = time.monotonic() + SUNK_SECONDS
    while behind := _behind(await positions(kafka, sink_group), places):
        if time.monotonic() > give_up:
            raise CannotReplay(f"the sink has not written {', '.join(behind)}: let it finish first")
        await asyncio.sleep(PAUSE_SECONDS)


def _behind(at: Mapping[TopicPartition, int], places: Mapping[TopicPartition, int]) -> Collection[str]:
    return [
        f"{place.topic}/{place.partition} up to {wanted}"
        for place, wanted in places.items()
        if at.get(place, 0) < wanted
    ]


async def _to_the_end(consumer: AIOKafkaConsumer, ledger: Ledger) -> None:
    """Take what is committed by now: whole transactions, for a partition's counts are all in one partition of the topic."""
    places = list(consumer.assignment())
    ends = await consumer.end_offsets(places)
    while [place for place in places if await consumer.position(place) < ends[place]]:
        for records in (await consumer.getmany(timeout_ms=100)).values():
            ledger.take(record.value for record in records)
