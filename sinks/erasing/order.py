"""What is ordered: an erasure as records of the topic `commands`, none too large, each with all the names of its people."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from runtime import commands
from runtime.kafka import partition_counts, partition_of, place_of
from runtime.settings import KafkaSettings
from schemas.codec import encode
from schemas.erasure import Erase, Hashed, Stored, plan
from schemas.topics import COMMANDS
from sinks.erasing.who import Identifiers, People

AT_ONCE = 5_000  # touchpoints and names of a record: 1.5 MB, with marks on one or two devices each
MAX_BYTES = 8 << 20  # what the topic takes


class Order(NamedTuple):
    """What is the same in all records of an erasure. `at` in ms UTC."""

    erasure_id: str
    at: int
    by: str
    because: str


@dataclass
class _Part:
    names: set[str] = field(default_factory=set)
    stored: list[Stored] = field(default_factory=list)


def records(
    order: Order,
    people: People,
    stored: Mapping[UUID, Collection[Stored]],
    shared: Collection[str],
    identifiers: Identifiers,
    first: int = 1,
) -> list[Erase]:
    """The orders, numbered from `first`: compaction keeps one record of each id, so every one has its own."""
    own = {name: Hashed(identifiers.own(name).hex, place_of(name.encode())) for name in people.all_names}

    def hashed(identifier: str) -> Hashed:
        return own.get(identifier) or Hashed(identifiers.own(identifier).hex, place_of(identifier.encode()))

    names = people.all_names
    found = []
    for number, part in enumerate(_parts(people, stored), first):
        gone, marks, partners = plan(part.stored, names, shared, hashed)
        hashes = sorted(own[name].id for name in part.names)
        found.append(
            Erase(
                f"{order.erasure_id}.{number}",
                order.at,
                hashes,
                gone,
                marks,
                partners,
                by=order.by,
                reason=order.because,
            )
        )
    return found


def _parts(people: People, stored: Mapping[UUID, Collection[Stored]]) -> Iterator[_Part]:
    """Several people together, as long as they are few; who has very much comes in several, each with all the names."""
    part = _Part()
    for person, names in people.names.items():
        left = iter(stored.get(person, ()))
        while some := list(islice(left, AT_ONCE)):
            if len(part.names) + len(part.stored) + len(some) > AT_ONCE:
                yield part
                part = _Part()
            part.names |= names
            part.stored += some
        if len(part.names) + len(names) > AT_ONCE:
            yield part
            part = _Part()
        part.names |= names
    if part.names or part.stored:
        yield part


async def given(kafka: KafkaSettings) -> set[UUID]:
    """The events of all erasures that were ever ordered. Raises KafkaError."""
    erasures = [said for _, said in await commands.ordered(kafka) if isinstance(said, Erase)]
    return {UUID(gone.event_id) for said in erasures for gone in said.gone}


async def send(kafka: KafkaSettings, orders: Collection[Erase], sent: Callable[[int], None]) -> None:
    """Returns when Kafka has them on disk. Raises KafkaError."""
    from aiokafka import AIOKafkaProducer

    count = (await partition_counts(kafka, [COMMANDS.name]))[COMMANDS.name]
    producer = AIOKafkaProducer(
        **kafka.client(), acks="all", enable_idempotence=True, max_request_size=MAX_BYTES, compression_type=None
    )
    await producer.start()
    try:
        for number, order in enumerate(orders, 1):
            key = order.key.encode()
            await producer.send_and_wait(COMMANDS.name, encode(order), key=key, partition=partition_of(key, count))
            sent(number)
    finally:
        await producer.stop()
