"""One bad record must never cost its chunk: decode all at once, and only when that fails one by one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, TypeVar

import msgspec
from aiokafka import TopicPartition

from runtime.chunked.leg import Chunk, Output
from runtime.kafka import partition_counts, partition_of, reader
from runtime.settings import KafkaSettings
from schemas.codec import encode
from schemas.dead_letter import Reason, dead_letter
from schemas.topics import DEAD_LETTERS

T = TypeVar("T")


class _Refused(msgspec.Struct):
    leg: str = ""
    address: str = ""


_refused = msgspec.json.Decoder(_Refused)


async def refused_addresses(kafka: KafkaSettings) -> frozenset[str]:
    """Addresses of what the identity leg of any generation has refused, as far as the topic is kept. Raises KafkaError."""
    count = (await partition_counts(kafka, [DEAD_LETTERS.name]))[DEAD_LETTERS.name]
    found: set[str] = set()
    async with reader(kafka, max_partition_fetch_bytes=4 << 20) as consumer:
        partitions = [TopicPartition(DEAD_LETTERS.name, number) for number in range(count)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        while [tp for tp in partitions if await consumer.position(tp) < ends[tp]]:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                letters = (_refused.decode(record.value) for record in records if record.value)
                found.update(letter.address for letter in letters if letter.leg == "identity")
    return frozenset(found)


class DeadLetters:
    """Writes the dead letters of one leg: knows the topic, its partitions, and what another generation has refused.

    `refused` are addresses of records that have their letter: a replay comes to the same ones again.
    """

    def __init__(
        self, topic: str, partitions: int, leg: Literal["identity", "stitch"], refused: Collection[str] = ()
    ) -> None:
        self._refused = refused
        self._topic = topic
        self._partitions = partitions
        self._leg = leg

    def output(
        self, raw: bytes, *, source: str, reason: Reason, address: str, message: str, at: int, path: str = ""
    ) -> list[Output]:
        """A record for the dead letters' topic, or none if it is there. `at` in ms UTC: append time of the refused record."""
        if address in self._refused:
            return []
        letter = dead_letter(
            raw, source=source, leg=self._leg, reason=reason, message=message, address=address, at=at, path=path
        )
        key = source.encode()
        return [Output(self._topic, partition_of(key, self._partitions), key, encode(letter))]

    def undecodable(self, chunk: Chunk, place: int, error: Exception) -> list[Output]:
        """For a record of the chunk that is not what its topic holds."""
        return self.output(
            chunk.values[place] or b"",
            source=chunk.topic,
            reason="undecodable",
            address=f"{chunk.topic}/{chunk.partition}/{chunk.offsets[place]}",
            message=f"not a record of the topic {chunk.topic}: {error}; only desireline writes this topic",
            at=chunk.timestamps[place],
        )


def decode_each(
    decoder: msgspec.json.Decoder[T], chunk: Chunk, letters: DeadLetters
) -> tuple[list[tuple[int, T]], list[Output]]:
    """The chunk's records decoded, each with its place in the chunk; and dead letters for those that cannot be."""
    try:
        lines = b"\n".join(chunk.values)  # type: ignore[arg-type]
        # A line end inside a record would shift the places of those behind it.
        if lines.count(b"\n") == len(chunk.values) - 1:
            decoded = decoder.decode_lines(lines)
            if len(decoded) == len(chunk.values):
                return list(enumerate(decoded)), []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError):
        pass  # some record is bad: find it below
    good: list[tuple[int, T]] = []
    bad: list[Output] = []
    for place, value in enumerate(chunk.values):
        try:
            good.append((place, decoder.decode(value or b"")))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            bad += letters.undecodable(chunk, place, error)
    return good, bad
