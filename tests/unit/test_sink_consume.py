"""The sink's consume loop, with a consumer that behaves as aiokafka's does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition

from sinks.consume import consume, seldom
from sinks.rows import Record
from sinks.settings import SinkSettings
from tests.sink_records import FakeRecord, touchpoint

Fetch = dict[TopicPartition, list[FakeRecord]]


class FakeConsumer:
    """Gives its fetches one by one. Like aiokafka's it does not suspend when there is something."""

    def __init__(self, fetches: Sequence[Fetch]) -> None:
        self._fetches = list(fetches)
        self.committed: dict[TopicPartition, int] = {}

    async def getmany(self, timeout_ms: int, max_records: int) -> Fetch:
        if self._fetches:
            return self._fetches.pop(0)
        await asyncio.sleep(timeout_ms / 1000)
        return {}

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition(topic, 0) for topic in ("journeys", "people", "touchpoints")}

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.committed.update(offsets)


def _records(topic: str, first: int, count: int) -> Fetch:
    numbers = range(first, first + count)
    return {TopicPartition(topic, 0): [FakeRecord(topic, number, touchpoint(number)) for number in numbers]}


async def _consume(
    fetches: Sequence[Fetch],
    settings: SinkSettings,
    write: Callable[[str, int, FakeConsumer], Awaitable[None]],
    *,
    done: Callable[[FakeConsumer], bool] | None = None,
) -> tuple[FakeConsumer, list[str]]:
    """Consume until `done`, or at once to the end; what happened in which order."""
    consumer, stop = FakeConsumer(fetches), asyncio.Event()
    happened: list[str] = []

    async def deliver(topic: str, records: Sequence[Record]) -> None:
        await write(topic, len(records), consumer)
        happened.append(f"{topic} {len(records)}")

    async def settle() -> None:
        happened.append(f"settled before {sum(consumer.committed.values())} grew")

    faked: Any = consumer
    loop = asyncio.create_task(consume(faked, deliver, settle, settings, stop))
    async with asyncio.timeout(10):
        while not loop.done() and not (done or (lambda _: not consumer._fetches))(consumer):
            await asyncio.sleep(0.001)
        stop.set()
        await loop
    return consumer, happened


async def _at_once(topic: str, count: int, consumer: FakeConsumer) -> None:
    await asyncio.sleep(0)


def test_a_write_that_takes_longer_than_a_batch_goes_on_while_the_next_one_is_due() -> None:
    async def slow(topic: str, count: int, consumer: FakeConsumer) -> None:
        await asyncio.sleep(0.2)

    settings = SinkSettings(batch_rows=10, batch_seconds=0.01)
    _, happened = asyncio.run(
        _consume([_records("people", 0, 10), _records("people", 10, 1)], settings, slow, done=_committed("people", 11))
    )
    assert [one for one in happened if one.startswith("people")] == ["people 10", "people 1"]


def _committed(topic: str, offset: int) -> Callable[[FakeConsumer], bool]:
    return lambda consumer: consumer.committed.get(TopicPartition(topic, 0)) == offset


def test_a_full_batch_waits_for_the_write_before_it() -> None:
    async def slow(topic: str, count: int, consumer: FakeConsumer) -> None:
        await asyncio.sleep(0.02)

    settings = SinkSettings(batch_rows=10, batch_seconds=0.5)
    fetches = [_records("people", first, 10) for first in range(0, 50, 10)]
    _, happened = asyncio.run(_consume(fetches, settings, slow, done=_committed("people", 50)))
    assert [one for one in happened if one.startswith("people")] == ["people 10"] * 5


def test_a_topic_is_written_and_committed_while_another_one_is_being_written() -> None:
    released = asyncio.Event()

    async def write(topic: str, count: int, consumer: FakeConsumer) -> None:
        if topic == "people":
            await released.wait()

    def journeys_are_there(consumer: FakeConsumer) -> bool:
        if _committed("journeys", 2)(consumer):
            assert TopicPartition("people", 0) not in consumer.committed
            released.set()
        return released.is_set()

    fetches = [_records("people", 0, 2), _records("journeys", 0, 2)]
    consumer, _ = asyncio.run(_consume(fetches, SinkSettings(batch_seconds=0.01), write, done=journeys_are_there))
    assert consumer.committed == {TopicPartition("people", 0): 2, TopicPartition("journeys", 0): 2}


def test_what_was_read_is_written_settled_and_committed_before_the_end() -> None:
    fetches = [_records("journeys", 0, 2), _records("people", 0, 3)]
    consumer, happened = asyncio.run(_consume(fetches, SinkSettings(batch_seconds=60), _at_once))
    assert set(happened[:2]) == {"journeys 2", "people 3"}
    assert happened[2] == "settled before 0 grew"
    assert consumer.committed == {TopicPartition("people", 0): 3, TopicPartition("journeys", 0): 2}


def test_what_could_not_be_written_is_not_committed() -> None:
    consumers: list[FakeConsumer] = []

    async def fail(topic: str, count: int, consumer: FakeConsumer) -> None:
        consumers.append(consumer)
        raise RuntimeError("no")

    with pytest.RaisesGroup(RuntimeError, flatten_subgroups=True):
        asyncio.run(_consume([_records("people", 0, 3)], SinkSettings(batch_seconds=0.01), fail, done=lambda _: False))
    assert consumers[0].committed == {}


def test_what_may_become_rare_does_as_it_takes_longer() -> None:
    assert [seldom(0.2, took) for took in (0.0, 0.01, 0.05, 0.4)] == [0.2, 0.2, 0.5, 1.0]
    assert seldom(3.0, 0.4) == 3.0
