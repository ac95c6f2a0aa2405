"""How far the line has come: wait until every leg, and the sink, has processed what there is now.

A touchpoint goes through three groups of consumers, one after the other; each wait begins when the one before has ended, with
the ends of the logs as they are then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from typing import NamedTuple

import msgspec
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from runtime import commands
from runtime.kafka import partition_counts, read_topic, reader, with_records
from runtime.settings import KafkaSettings
from schemas import topics
from schemas.erasure import Erase
from schemas.messages import Block
from sinks.rows import TABLES
from sinks.verify.erased import Erased

IDENTITY = "identity", (topics.TOUCHPOINTS, topics.IDENTITY, topics.COMMANDS)
STITCH = "stitch", (topics.PEOPLE,)
SUNK = tuple(topic for topic in topics.TOPICS if topic.name in TABLES)
OWED_SECONDS = 1.5  # longer than the stitch leg holds back the row of an open journey
PAUSE_SECONDS = 0.25
LAST_RECORDS = 5_000  # of a changelog


async def through(kafka: KafkaSettings, sink_group: str, seconds: float, generation: int = 1) -> str:
    """Return when this generation is through with what is in the logs now, or after `seconds`: then what it is behind with,
    else "".

    The identity leg is asked three times: what it says to itself goes through its own log. Raises KafkaError.
    """
    deadline = time.monotonic() + seconds
    own = topics.Generation(generation)
    for leg, read in (IDENTITY, IDENTITY, IDENTITY, STITCH):
        behind = await _caught_up(kafka, own.group(leg), [own.topic(one).name for one in read], deadline)
        if behind:
            return behind
    await asyncio.sleep(OWED_SECONDS)
    return await _caught_up(kafka, sink_group, [own.topic(one).name for one in SUNK], deadline)


async def sunk(kafka: KafkaSettings, sink_group: str, seconds: float, generation: int) -> str:
    """As `through`, for the sink alone, and what belongs to this generation alone. Raises KafkaError."""
    own = {topic.name for topic in topics.Generation(generation).own}
    read = [topic.name for topic in map(topics.Generation(generation).topic, SUNK) if topic.name in own]
    return await _caught_up(kafka, sink_group, read, time.monotonic() + seconds)


async def unread(kafka: KafkaSettings, group: str, topic: str) -> str:
    """What of the topic a group has not committed now, "" if nothing. Raises KafkaError."""
    return await _caught_up(kafka, group, [topic], time.monotonic())


class Ordered(NamedTuple):
    """What operators have ordered: the identifiers that are blocked, and what is erased; up to when deadlines have passed."""

    blocked: frozenset[str]
    erased: Erased
    deadlines_at: int = 0  # ms UTC


class _Progress(msgspec.Struct):
    """What a stitch partition says of itself, as far as it matters here."""

    deadlines_at: int = 0


async def deadlines_at(kafka: KafkaSettings, generation: int) -> int:
    """Up to when every stitch partition has let deadlines pass, ms UTC; 0: not known. Raises KafkaError.

    A partition says it four times a second, so it stands among the last records of its changelog.
    """
    changelog = topics.Generation(generation).topic(topics.STITCH_CHANGELOG).name
    count = (await partition_counts(kafka, [changelog]))[changelog]
    async with reader(kafka) as consumer:
        ends = await consumer.end_offsets([TopicPartition(changelog, number) for number in range(count)])
    starts = {tp.partition: max(0, int(end) - LAST_RECORDS) for tp, end in ends.items()}
    found = dict.fromkeys(range(count), 0)
    for record in await read_topic(kafka, changelog, starts):
        if record.key == b"m" and record.value:
            found[record.partition] = msgspec.json.decode(record.value, type=_Progress).deadlines_at
    return min(found.values())


async def ordered(kafka: KafkaSettings, secret: bytes, generation: int = 1) -> Ordered:
    """What operators have ordered up to now: of an identifier's blocks the last counts, of erasures all; and how far deadlines
    are. Raises KafkaError."""
    newest: dict[str, tuple[int, bool]] = {}
    erasures: list[Erase] = []
    for at, said in await commands.ordered(kafka):
        if isinstance(said, Block):
            # By time, not by place: a topic that was given more partitions may have an identifier's orders in two of them.
            if at >= newest.get(said.identifier, (0, False))[0]:
                newest[said.identifier] = at, said.blocked
        else:
            erasures.append(said)
    blocked = frozenset(identifier for identifier, (_, block) in newest.items() if block)
    return Ordered(blocked, Erased(secret, erasures), await deadlines_at(kafka, generation))


async def _caught_up(kafka: KafkaSettings, group: str, read: Collection[str], deadline: float) -> str:
    """Wait until a group has committed everything that its topics hold now; what is left at the deadline, "" if nothing."""
    counts = await partition_counts(kafka, read)
    partitions = [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]
    async with reader(kafka) as consumer:
        ends = {tp: int(end) for tp, end in (await consumer.end_offsets(partitions)).items()}
        begins = {tp: int(begin) for tp, begin in (await consumer.beginning_offsets(partitions)).items()}
        while True:
            committed = await _committed(kafka, group)
            unread = {tp: (at, end) for tp, end in ends.items() if (at := max(committed.get(tp, 0), begins[tp])) < end}
            left = [
                f"{tp.topic}/{tp.partition} at {unread[tp][0]} of {unread[tp][1]}"
                for tp in sorted(await with_records(consumer, unread))
            ]
            if not left or time.monotonic() > deadline:
                return f"{group}: {', '.join(left)}" if left else ""
            await asyncio.sleep(PAUSE_SECONDS)


async def _committed(kafka: KafkaSettings, group: str) -> Mapping[TopicPartition, int]:
    admin = AIOKafkaAdminClient(**kafka.client())
    await admin.start()
    try:
        return {tp: int(found.offset) for tp, found in (await admin.list_consumer_group_offsets(group)).items()}
    finally:
        await admin.close()
