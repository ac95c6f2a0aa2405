"""The store on a real broker: it survives what may happen, and refuses to go on where going on would be wrong.

The long version is `python -m tests.prove.chunked`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as StreamPartition
from kafka.admin import KafkaAdminClient
from kafka.structs import TopicPartition

from deploy.local.child import Child
from deploy.local.logs import tail
from deploy.local.ports import free_port
from runtime.chunked.restore import restore
from runtime.chunked.transaction import fence
from runtime.kafka import create_topics, partition_of, read_topic
from runtime.settings import KafkaSettings
from tests.conftest import Kafka
from tests.prove.chunked.chaos import Chaos
from tests.prove.chunked.expected import differences
from tests.prove.chunked.group import committed_offsets, everything_taken
from tests.prove.chunked.job import PARTITIONS, Counting, State, encode, key_of
from tests.prove.chunked.processes import last_error

pytestmark = pytest.mark.integration

SECONDS = 60  # the longest that anything here may take


class Bench:
    """A leg with its topics, and the workers that a test starts for it."""

    def __init__(self, kafka: KafkaSettings, folder: Path) -> None:
        self.kafka, self._folder = kafka, folder
        self.leg = Counting(f"test-{uuid.uuid4().hex[:8]}")
        self._workers: list[Child] = []

    def start(self, *others: Counting) -> Child:
        """A worker for the leg, and for others in the same process."""
        names = ",".join(leg.name for leg in (self.leg, *others))
        argv = [sys.executable, "-m", "tests.prove.chunked.worker", self.kafka.bootstrap, names]
        worker = Child("worker", argv, self._folder / f"worker-{len(self._workers)}.log")
        self._workers.append(worker)
        worker.start()
        return worker

    def kill_all(self) -> None:
        for worker in self._workers:
            worker.kill()

    async def produce(self, start: int, stop: int) -> None:
        """Ids start..stop of as many keys, all acknowledged."""
        async with AIOKafkaProducer(**self.kafka.client(), enable_idempotence=True) as producer:
            for number in range(start, stop):
                key = key_of(number % 500)
                await producer.send(self.leg.entry, b"%d" % number, key, partition_of(key, PARTITIONS))

    async def until_taken(self) -> None:
        await self._until(lambda: everything_taken(self.kafka, self.leg))

    async def until_out(self, rows: int) -> None:
        async def there() -> bool:
            return len(await read_topic(self.kafka, self.leg.out)) >= rows

        await self._until(there)

    async def _until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        give_up = time.monotonic() + SECONDS
        while not await condition():
            ended = [tail(worker.log) for worker in self._workers if worker.exit_code]
            assert not ended, ended
            assert time.monotonic() < give_up, "waited in vain"
            await asyncio.sleep(0.1)

    async def differences(self) -> dict[str, int]:
        return dict(await differences(self.kafka, self.leg, await committed_offsets(self.kafka, self.leg.name)))

    def members(self) -> int:
        """How many workers the group has."""
        admin = KafkaAdminClient(**self.kafka.client())
        try:
            return len(admin.describe_groups([self.leg.name])[self.leg.name]["members"])
        finally:
            admin.close()

    def delete_records(self, topic: str, before: dict[int, int]) -> None:
        """What retention does."""
        admin = KafkaAdminClient(**self.kafka.client())
        try:
            admin.delete_records({TopicPartition(topic, number): offset for number, offset in before.items()})
        finally:
            admin.close()


def exit_of(worker: Child) -> tuple[int | None, str]:
    """Its exit code and the reason it logged; fails when it does not end."""
    give_up = time.monotonic() + SECONDS
    while worker.alive:
        assert time.monotonic() < give_up, "the worker did not end"
        time.sleep(0.05)
    return worker.exit_code, last_error(worker.log)


@pytest.fixture
def bench(kafka: Kafka, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(KafkaSettings(bootstrap=kafka.bootstrap), tmp_path)
    try:
        yield made
    finally:
        made.kill_all()


class SessionBroker:
    """The session's broker, for the faults."""

    def __init__(self, server: Kafka) -> None:
        self.kafka = KafkaSettings(bootstrap=server.bootstrap)
        self._server = server

    def kill(self) -> None:
        self._server.kill()

    def start_again(self) -> None:
        self._server.launch()


def test_faults_change_nothing(kafka: Kafka, tmp_path: Path) -> None:
    report = asyncio.run(Chaos(1, SessionBroker(kafka), tmp_path, ["quick", "broker"]).run())
    assert report["differences"] == {}
    assert all(fault["in_flight"] for fault in report["faults"])
    assert len(report["faults"]) == 2


def test_a_worker_that_is_asked_to_stop_commits_and_the_next_one_restores(bench: Bench) -> None:
    create_topics(bench.kafka, bench.leg.topics)
    asyncio.run(bench.produce(0, 3_000))
    first = bench.start()
    asyncio.run(bench.until_out(500))
    first.terminate()
    assert exit_of(first) == (0, "no line")
    taken = sum(asyncio.run(committed_offsets(bench.kafka, bench.leg.name)).values())
    assert taken > 0

    assert bench.members() == 0, "it did not leave the group: its session would have to run out"

    asyncio.run(bench.produce(2_990, 3_500))
    bench.start()
    asyncio.run(bench.until_taken())
    assert asyncio.run(bench.differences()) == {}


def test_a_worker_that_still_waits_for_a_broker_can_be_stopped(tmp_path: Path) -> None:
    bench = Bench(KafkaSettings(bootstrap=f"127.0.0.1:{free_port()}"), tmp_path)
    worker = bench.start()
    try:
        give_up = time.monotonic() + SECONDS
        while "Unable connect" not in tail(worker.log):
            assert time.monotonic() < give_up
            time.sleep(0.1)
        worker.terminate()
        assert exit_of(worker) == (0, "no line")
    finally:
        bench.kill_all()


def test_two_legs_run_in_one_process(bench: Bench, kafka: Kafka, tmp_path: Path) -> None:
    other = Bench(bench.kafka, tmp_path)
    create_topics(bench.kafka, [*bench.leg.topics, *other.leg.topics])
    for one in (bench, other):
        asyncio.run(one.produce(0, 1_000))
    worker = bench.start(other.leg)
    for one in (bench, other):
        asyncio.run(one.until_taken())
        assert asyncio.run(one.differences()) == {}
    worker.terminate()
    assert exit_of(worker) == (0, "no line")


def test_a_restore_that_is_cancelled_leaves_nothing_behind(bench: Bench) -> None:
    create_topics(bench.kafka, bench.leg.topics)
    changelog = StreamPartition(bench.leg.changelog, 0)

    async def cancel_it() -> None:
        async with AIOKafkaProducer(**bench.kafka.client()) as producer:
            for number in range(20_000):
                await producer.send(changelog.topic, b"state", key_of(number), 0)
        begun, taken = asyncio.Event(), 0

        def take(records: Iterable[tuple[bytes, bytes | None]]) -> None:
            nonlocal taken
            taken += len(list(records))
            begun.set()

        sources = [StreamPartition(topic, 0) for topic in bench.leg.sources]
        restoring = asyncio.create_task(restore(bench.kafka, bench.leg.name, changelog, sources, take))
        await begun.wait()
        restoring.cancel()
        with pytest.raises(asyncio.CancelledError):
            await restoring
        assert 0 < taken < 20_000
        assert asyncio.all_tasks() == {asyncio.current_task()}  # unclosed clients are warnings, so errors, here

    asyncio.run(cancel_it())


def test_state_without_offsets_is_refused(bench: Bench) -> None:
    create_topics(bench.kafka, bench.leg.topics)

    async def write_state() -> None:
        async with AIOKafkaProducer(**bench.kafka.client()) as producer:
            await producer.send(bench.leg.changelog, encode(State()), key_of(1), partition_of(key_of(1), PARTITIONS))

    asyncio.run(write_state())
    code, reason = exit_of(bench.start())
    assert code == 70
    assert reason.startswith("RecordsLost")
    assert "no offsets" in reason


def test_a_fenced_worker_ends(bench: Bench) -> None:
    create_topics(bench.kafka, bench.leg.topics)
    asyncio.run(bench.produce(0, 500))
    worker = bench.start()
    asyncio.run(bench.until_out(1))

    async def take_over() -> None:
        other = await fence(bench.kafka, f"{bench.leg.name}-0")
        await other.stop()

    asyncio.run(take_over())
    asyncio.run(bench.produce(500, 1_000))
    code, reason = exit_of(worker)
    assert code == 70
    assert "ProducerFenced" in reason


def test_topics_with_different_numbers_of_partitions_are_refused(bench: Bench) -> None:
    specs = [spec if spec.name != bench.leg.hop else spec._replace(partitions=7) for spec in bench.leg.topics]
    create_topics(bench.kafka, specs)
    code, reason = exit_of(bench.start())
    assert code == 70
    assert reason.startswith("NotCoPartitioned")
    assert bench.leg.hop in reason


def test_retention_that_overtook_a_stopped_leg_is_an_error(bench: Bench) -> None:
    create_topics(bench.kafka, bench.leg.topics)
    asyncio.run(bench.produce(0, 500))
    first = bench.start()
    asyncio.run(bench.until_taken())
    first.terminate()
    assert exit_of(first)[0] == 0
    asyncio.run(bench.produce(500, 1_000))
    committed = asyncio.run(committed_offsets(bench.kafka, bench.leg.name))
    bench.delete_records(bench.leg.entry, {3: committed[bench.leg.entry, 3] + 1})
    code, reason = exit_of(bench.start())
    assert code == 70
    assert reason.startswith(f"RecordsLost: {bench.leg.entry}-3: records {committed[bench.leg.entry, 3]}..")


def test_retention_that_overtakes_a_running_leg_is_an_error(bench: Bench) -> None:
    create_topics(bench.kafka, bench.leg.topics)
    asyncio.run(bench.produce(0, 500))
    worker = bench.start()
    asyncio.run(bench.until_taken())
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        asyncio.run(bench.produce(500, 1_000))  # the fetch that waits at the broker is answered with these
        asyncio.run(bench.produce(1_000, 1_500))
        bench.delete_records(bench.leg.entry, {3: -1})  # -1: everything
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    code, reason = exit_of(worker)
    assert code == 70
    assert reason.startswith("RecordsLost")
    assert f"{bench.leg.entry}-3 at" in reason


def test_a_record_too_large_for_its_topic_is_named(bench: Bench) -> None:
    specs = [
        spec if spec.name != bench.leg.out else spec._replace(config={"max.message.bytes": "70"})
        for spec in bench.leg.topics
    ]
    create_topics(bench.kafka, specs)
    asyncio.run(bench.produce(0, 10))
    code, reason = exit_of(bench.start())
    assert code == 70
    assert reason.startswith(f"RecordTooLarge: {bench.leg.out} does not take a record of")
    assert "k000" in reason
