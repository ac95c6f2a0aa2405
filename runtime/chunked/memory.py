"""The same contract without Kafka: legs in one process, on lists, deterministic, with crashes.

What it promises is what the store promises: each partition's state, outputs and positions move together or not at all;
what a crash loses is taken again. Which partition of which source is read next, how much, and when its transaction comes
is decided by `random`, so a property test walks through orders that a real run shows once a year.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

from runtime.chunked.leg import Chunk, Leg, Output, Partition
from runtime.kafka import Record, partition_of


class MemoryKafka:
    """Topics, the group's offsets and the changelog; `partitions` of every topic that has no number of its own."""

    def __init__(self, partitions: int, other: dict[str, int] | None = None) -> None:
        self._partitions, self._other = partitions, other or {}
        self._logs: defaultdict[tuple[str, int], list[Record]] = defaultdict(list)
        self._clock = 0

    def partitions(self, topic: str) -> int:
        """How many the topic has."""
        return self._other.get(topic, self._partitions)

    def produce(self, topic: str, key: bytes, value: bytes | None) -> None:
        """Append one record to the key's partition."""
        self.append(Output(topic, partition_of(key, self.partitions(topic)), key, value))

    def append(self, output: Output) -> None:
        """Append one record where it says."""
        log = self._logs[output.topic, output.partition]
        log.append(Record(output.partition, len(log), self._clock, output.key, output.value))

    def move_clock(self, time: int) -> None:
        """What is appended from now on gets at least this time (ms)."""
        self._clock = max(self._clock, time)

    def records(self, topic: str) -> list[Record]:
        """Everything in a topic, partition by partition, in log order."""
        return [record for number in range(self.partitions(topic)) for record in self._logs[topic, number]]

    def log(self, topic: str, partition: int) -> list[Record]:
        """One partition's records, by offset."""
        return self._logs[topic, partition]


class MemoryPartition:
    """One owned partition of one leg on a `MemoryKafka`."""

    def __init__(self, leg: Leg, number: int, kafka: MemoryKafka) -> None:
        self._leg, self._number, self._kafka = leg, number, kafka
        self._committed = dict.fromkeys(leg.sources, 0)
        self._open()

    def _open(self) -> None:
        self._positions = dict(self._committed)
        self._read_to = dict.fromkeys(self._leg.sources, 0)
        self.logic: Partition = self._leg.partition(self._number)
        changes = self._kafka.log(self._leg.changelog, self._number)
        self.logic.restore([(record.key or b"", record.value) for record in changes])

    def lag(self, topic: str) -> int:
        """Records of a source that it has not taken yet."""
        return len(self._kafka.log(topic, self._number)) - self._positions[topic]

    def take(self, topic: str, most: int) -> None:
        """The next records of one source, at most so many, if there are any."""
        at = self._positions[topic]
        records = self._kafka.log(topic, self._number)[at : at + most]
        if not records:
            return
        self.logic.take(
            Chunk(
                topic,
                self._number,
                [record.offset for record in records],
                [record.timestamp for record in records],
                [record.key for record in records],
                [record.value for record in records],
            )
        )
        self._positions[topic] = at + len(records)
        self._read_to[topic] = max(self._read_to[topic], records[-1].timestamp)

    def tick(self, now: int) -> None:
        """Time passes; a source that has been read to its end has been read up to now."""
        for topic in self._leg.sources:
            if not self.lag(topic):
                self._read_to[topic] = max(self._read_to[topic], now)
        self.logic.tick(now, dict(self._read_to))

    def commit(self, now: int) -> bool:
        """One transaction; was there anything for it?"""
        moved = self._positions != self._committed
        if not moved and not self.logic.pending():
            return False
        state, outputs = self.logic.collect(now)
        for key, value in state.items():
            self._kafka.append(Output(self._leg.changelog, self._number, key, value))
        for output in outputs:
            self._kafka.append(output)
        self._committed = dict(self._positions)
        return moved or bool(state or outputs)

    def crash(self) -> None:
        """The process dies; another one opens the partition from what was committed."""
        self._open()


class MemoryRun:
    """Legs on one `MemoryKafka`. `now` (ms) only moves when told to; records are appended at `now`."""

    def __init__(self, legs: Sequence[Leg], kafka: MemoryKafka, seed: int = 0, now: int = 0) -> None:
        self.kafka, self.now = kafka, now
        kafka.move_clock(now)
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._legs = [
            (leg, [MemoryPartition(leg, number, kafka) for number in range(kafka.partitions(leg.sources[0]))])
            for leg in legs
        ]

    def partition(self, leg: str, number: int) -> MemoryPartition:
        """One of them, by the leg's name."""
        return next(partitions[number] for found, partitions in self._legs if found.name == leg)

    def produce(self, topic: str, key: bytes, value: bytes | None) -> None:
        """One record from outside, now."""
        self.kafka.produce(topic, key, value)

    def advance(self, milliseconds: int) -> None:
        """Let time pass, then tick everywhere."""
        self.now += milliseconds
        self.kafka.move_clock(self.now)
        for _, partitions in self._legs:
            for partition in partitions:
                partition.tick(self.now)

    def step(self, crash: float = 0.0) -> None:
        """Something happens somewhere: a chunk is taken, a transaction commits, or (with this probability) a crash."""
        leg, partitions = self._random.choice(self._legs)
        partition = self._random.choice(partitions)
        if self._random.random() < crash:
            partition.crash()
        elif self._random.random() < 0.5:
            partition.take(self._random.choice(leg.sources), self._random.choice((1, 3, 10, 1000)))
        else:
            partition.commit(self.now)

    def settle(self, most: int = 1000) -> None:
        """Go on, without time passing, until nothing is left to take or commit. AssertionError when it never ends."""
        for _ in range(most):
            work = False
            for leg, partitions in self._legs:
                for partition in partitions:
                    for topic in leg.sources:
                        partition.take(topic, 1000)
                    work |= partition.commit(self.now)
            if not work and not any(
                partition.lag(topic)
                for leg, partitions in self._legs
                for partition in partitions
                for topic in leg.sources
            ):
                return
        raise AssertionError(f"the legs never came to rest in {most} rounds: they answer each other for ever")
