"""`desireline topics resize`: more partitions, with the state moved to where its keys belong now.

Everything must be at rest: no worker, no collector, nothing left to read. The changelogs grow and are re-hashed first; the
sources, which a worker compares with its changelog before it starts, grow last, and get their first offsets after that. So
whatever breaks off half way leaves a line that refuses to start until the command has been run again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from processors.rehash import Move, Moves, identity_moves, stitch_moves
from runtime import generations
from runtime.chunked.leg import Output
from runtime.chunked.slices import Gathered
from runtime.chunked.transaction import Transaction, commit, fence
from runtime.kafka import partition_counts, read_topic, reader, with_records
from runtime.settings import KafkaSettings
from schemas import topics

BATCH = 2_000  # moves in one transaction
GROWTH_SECONDS = 30.0


class NotAtRest(RuntimeError):
    """Something still runs, or something has not been read: says what, and what to do."""


class Resized(NamedTuple):
    """Keys that went to another partition, by leg."""

    moved: dict[str, int]


_LEGS: tuple[tuple[str, tuple[topics.Topic, ...], topics.Topic, Moves], ...] = (
    (
        "identity",
        (topics.TOUCHPOINTS, topics.IDENTITY, topics.COMMANDS),
        topics.IDENTITY_CHANGELOG,
        identity_moves,
    ),
    ("stitch", (topics.PEOPLE,), topics.STITCH_CHANGELOG, stitch_moves),
)


async def resize(
    kafka: KafkaSettings, partitions: int, progress: Callable[[str], None], generation: int = 1
) -> Resized:
    """Grow all topics, of the one generation that there is, to `partitions`. Raises NotAtRest, ValueError.

    Safe to run again after it broke off.
    """
    others = [number for number in generations.existing(kafka) if number != generation]
    if others:
        raise NotAtRest(
            f"there are other generations than {generation}: {', '.join(map(str, others))}; set DESIRELINE_GENERATION to the "
            "live one and take the others away first (`desireline replay drop`)"
        )
    own = topics.Generation(generation)
    legs = [
        (own.group(leg), [own.topic(one) for one in sources], own.topic(changelog), moves)
        for leg, sources, changelog, moves in _LEGS
    ]
    names = [topic.name for topic in own.topics]
    counts = await partition_counts(kafka, names)
    if partitions < max(counts.values()):
        raise ValueError(
            f"topics have {max(counts.values())} partitions; Kafka cannot take partitions away, only add them"
        )
    for group, sources, _, _ in legs:
        for source in sources:
            await _at_rest(kafka, group, source.name, counts[source.name])
    moved: dict[str, int] = {}
    for group, _, changelog, moves in legs:
        await _grow(kafka, changelog.name, partitions)
        progress(f"re-hashing the state of {group}")
        moved[group] = await _rehash(kafka, group, changelog.name, partitions, moves)
    changelogs = {changelog.name for _, _, changelog, _ in legs}
    for name in names:
        if name not in changelogs:
            progress(f"growing {name}")
            await _grow(kafka, name, partitions)
    for group, sources, _, _ in legs:
        for source in sources:
            await _begin(kafka, group, source.name, partitions)
    return Resized(moved)


async def _at_rest(kafka: KafkaSettings, group: str, source: str, partitions: int) -> None:
    """NotAtRest while the group has members, or the source has records that it has not read."""
    admin = AIOKafkaAdminClient(**kafka.client())
    await admin.start()
    try:
        described = (await admin.describe_consumer_groups([group]))[0].groups[0]
        if described[5]:
            raise NotAtRest(
                f"{len(described[5])} worker(s) of {group!r} are running; stop the workers and the collectors"
            )
    finally:
        await admin.close()
    committed = await _committed(kafka, group)
    async with reader(kafka) as consumer:
        where = [TopicPartition(source, number) for number in range(partitions)]
        ends = await consumer.end_offsets(where)
        left = {tp: (at, ends[tp]) for tp in where if (at := committed.get(tp, 0)) < ends[tp]}
        # Watermarks belong to no key, and nobody waits for them.
        for tp in sorted(await with_records(consumer, left, lambda record: record.key is not None)):
            raise NotAtRest(
                f"{group!r} has not read {source} to its end (partition {tp.partition}: {left[tp][0]} of {ends[tp]}); "
                "stop the collectors, let the workers finish, then stop them"
            )


async def _grow(kafka: KafkaSettings, topic: str, partitions: int) -> None:
    if (await partition_counts(kafka, [topic]))[topic] == partitions:
        return
    admin = AIOKafkaAdminClient(**kafka.client())
    await admin.start()
    try:
        await admin.create_partitions({topic: NewPartitions(partitions)})
    finally:
        await admin.close()
    async with asyncio.timeout(GROWTH_SECONDS):
        while (await partition_counts(kafka, [topic]))[topic] != partitions:
            await asyncio.sleep(0.1)


async def _begin(kafka: KafkaSettings, group: str, source: str, partitions: int) -> None:
    """Give the group an offset in the source's new partitions: a worker refuses state without one."""
    committed = await _committed(kafka, group)
    new = {tp: 0 for n in range(partitions) if (tp := TopicPartition(source, n)) not in committed}
    if new:
        producer = await fence(kafka, f"{group}-resize")
        try:
            await commit(producer, Transaction(TopicPartition(source, 0), {}, [], new, group))
        finally:
            await producer.stop()


async def _committed(kafka: KafkaSettings, group: str) -> dict[TopicPartition, int]:
    admin = AIOKafkaAdminClient(**kafka.client())
    await admin.start()
    try:
        return {tp: found.offset for tp, found in (await admin.list_consumer_group_offsets(group)).items()}
    finally:
        await admin.close()


async def _rehash(kafka: KafkaSettings, group: str, changelog: str, partitions: int, moves: Moves) -> int:
    states = [Gathered() for _ in range(partitions)]
    for record in await read_topic(kafka, changelog):
        states[record.partition].put(record.key or b"", record.value)
    producer = await fence(kafka, f"{group}-resize")
    moved = 0
    try:
        batch: list[Move] = []
        for move in moves(states, partitions):
            batch.append(move)
            moved += bool(move.removed)
            if len(batch) >= BATCH:
                await _write(producer, changelog, group, batch)
                batch = []
        await _write(producer, changelog, group, batch)
    finally:
        await producer.stop()
    return moved


async def _write(producer: AIOKafkaProducer, changelog: str, group: str, batch: list[Move]) -> None:
    outputs = []
    for move in batch:
        outputs += [Output(changelog, move.target, key, value) for key, value in move.written.items()]
        outputs += [Output(changelog, move.source, key, None) for key in move.removed]
    if outputs:
        await commit(producer, Transaction(TopicPartition(changelog, 0), {}, outputs, {}, group))
