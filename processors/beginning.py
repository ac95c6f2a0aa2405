"""What a new generation begins with: it knows who was erased before it reads the first touchpoint; and if it is built from
ClickHouse, where it reads on in the log, and what became of everything before.

It would otherwise take the touchpoints of the erased that the log still has, say their names once more, and take them back when
it comes to the order; what was written of them meanwhile would have to be erased again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from aiokafka import TopicPartition

from processors.counting import kept, published
from processors.cutting import Cut
from processors.erased import Erasures
from processors.identity import COUNT, closed
from runtime import commands
from runtime.chunked.leg import Output
from runtime.chunked.transaction import Transaction, commit, fence
from runtime.kafka import partition_counts, partition_of, reader
from runtime.settings import KafkaSettings
from schemas import topics
from schemas.erasure import Erase

_SOURCES = (topics.TOUCHPOINTS, topics.IDENTITY, topics.COMMANDS)


def states(erasures: Iterable[Erase], partitions: int) -> list[dict[bytes, bytes | None]]:
    """The state of each partition of the identity leg that has read these orders and nothing else. Pure."""
    kept = [Erasures() for _ in range(partitions)]
    events: list[dict[bytes, bytes | None]] = [{} for _ in range(partitions)]
    for order in erasures:
        for number, one in enumerate(kept):
            one.suppress(map(bytes.fromhex, order.names), order.at)
            one.mark(
                [gone for gone in order.gone if gone.home.place % partitions == number],
                [mark for mark in order.marks if mark.device.place % partitions == number],
            )
            one.partner(partner for partner in order.partners if partner.name.place % partitions == number)
        for gone in order.gone:
            address = f"event:{UUID(gone.event_id)}"
            events[partition_of(address.encode(), partitions)] |= closed(bytes.fromhex(gone.event_id))
    return [one.take_state() | closing for one, closing in zip(kept, events, strict=True)]


async def begin(kafka: KafkaSettings, generation: int, cut: Cut | None = None) -> int:
    """Write it, with the positions that belong to it, unless the generation has begun; how many orders it knows.

    Without a `cut` it reads the log from its beginning and counts from nothing. Raises KafkaError.
    """
    own = topics.Generation(generation)
    group, changelog = own.group("identity"), own.topic(topics.IDENTITY_CHANGELOG).name
    counts = await partition_counts(kafka, [own.topic(topic).name for topic in _SOURCES])
    begins = await _begins(kafka, group, counts)
    if begins is None:
        return 0
    orders = [said for _, said in await commands.ordered(kafka) if isinstance(said, Erase)]
    if not orders and cut is None:
        return 0
    outputs = [
        Output(changelog, number, key, value)
        for number, state in enumerate(states(orders, counts[topics.TOUCHPOINTS.name]))
        for key, value in state.items()
    ]
    for partition, counted in cut.counts if cut else ():
        outputs.append(Output(changelog, partition, *kept(COUNT, counted)))
        outputs.append(Output(topics.LEDGER.name, partition, *published(counted)))
    begins |= cut.positions if cut else {}
    producer = await fence(kafka, f"{group}-begin")
    try:
        await commit(producer, Transaction(TopicPartition(changelog, 0), {}, outputs, begins, group))
    finally:
        await producer.stop()
    return len(orders)


async def _begins(kafka: KafkaSettings, group: str, counts: Mapping[str, int]) -> dict[TopicPartition, int] | None:
    """Where the logs begin; None if the group has been there. `counts`: partitions of each topic."""
    places = [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]
    async with reader(kafka, group_id=group) as consumer:
        consumer.assign(places)
        if any([await consumer.committed(place) is not None for place in places]):
            return None
        return dict(await consumer.beginning_offsets(places))
