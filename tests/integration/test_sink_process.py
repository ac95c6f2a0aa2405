"""The sink as a process between real servers: killed, starved, poisoned, run twice; the rows stay right."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from clickhouse_driver.errors import Error as ClickHouseError

from runtime.kafka import TopicSpec, create_topics
from runtime.kafka import reader as kafka_reader
from runtime.settings import ClickHouseSettings, KafkaSettings
from sinks.digest import TABLES as DIGESTED
from sinks.digest import digest
from sinks.reader import reader
from sinks.rows import TABLES
from tests.conftest import ClickHouse, Kafka
from tests.sink_records import (
    HOUR,
    MARCH,
    alert,
    assigned,
    came_late,
    counted,
    identity,
    journey,
    outcome,
    touchpoint,
    watermark,
)

pytestmark = pytest.mark.integration
PARTITIONS = 4
LATER = MARCH + 10**11


class Sink:
    """One consumer group over the shared topics that begins at their present end, and its processes."""

    def __init__(self, kafka: Kafka, database: ClickHouseSettings, folder: Path) -> None:
        self.kafka = KafkaSettings(bootstrap=kafka.bootstrap)
        self.database = database
        self.group = f"sink-{token_hex(4)}"
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []
        create_topics(self.kafka, [TopicSpec(topic, PARTITIONS) for topic in TABLES])
        self.begin: Mapping[TopicPartition, int] = asyncio.run(self._ends())
        self.begin_at(self.group)

    async def _ends(self) -> dict[TopicPartition, int]:
        async with kafka_reader(self.kafka) as consumer:
            partitions = [TopicPartition(topic, number) for topic in TABLES for number in range(PARTITIONS)]
            return dict(await consumer.end_offsets(partitions))

    def begin_at(self, group: str) -> None:
        """Let a group read what this test writes, and nothing older."""

        async def commit() -> None:
            async with kafka_reader(self.kafka, group_id=group) as consumer:
                consumer.assign(list(self.begin))
                await consumer.commit(dict(self.begin))

        asyncio.run(commit())

    def produce(self, records: Sequence[tuple[str, bytes]]) -> None:
        """Append (topic, value) records, spread over the partitions as their order gives it. Compacted topics want a key."""

        async def send() -> None:
            producer = AIOKafkaProducer(**self.kafka.client(), linger_ms=5)
            await producer.start()
            try:
                pending = [
                    await producer.send(topic, value, key=b"%d" % number, partition=number // len(TABLES) % PARTITIONS)
                    for number, (topic, value) in enumerate(records)
                ]
                await asyncio.gather(*pending)
            finally:
                await producer.stop()

        asyncio.run(send())

    def start(self, group: str | None = None, **environment: str) -> subprocess.Popen[bytes]:
        environment = {
            "KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "CLICKHOUSE_URL": self.database.url,
            "CLICKHOUSE_NATIVE_PORT": str(self.database.native_port),
            "DESIRELINE_SINK_GROUP": group or self.group,
            "DESIRELINE_SINK_RETRY_SECONDS": "0.5",
            "DESIRELINE_SINK_REFRESH_SECONDS": "1",
        } | environment
        with (self._folder / f"sink-{len(self._running)}.log").open("wb") as log:
            process = subprocess.Popen([sys.executable, "-m", "sinks.app"], stderr=log, env=os.environ | environment)
        self._running.append(process)
        return process

    def log(self, number: int = -1) -> str:
        return sorted(self._folder.glob("sink-*.log"))[number].read_text()

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with reader(self.database) as one:
            return one.ask(sql).rows

    def counts(self) -> dict[str, int]:
        """Live rows per table."""
        return {table: self.ask(f"SELECT count() FROM {table} FINAL")[0][0] for table in TABLES.values()}

    def digests(self) -> dict[str, str]:
        with reader(self.database) as one:
            return {table: digest(one, table, LATER) for table in DIGESTED}

    def wait(self, condition: Callable[[], object], seconds: float = 60) -> None:
        """Return when it holds; fail with the log of the last sink after `seconds`."""
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            try:
                if condition():
                    return
            except (ClickHouseError, OSError):  # the server is down: part of some tests
                pass
            time.sleep(0.1)
        pytest.fail(f"waited {seconds:.0f} s in vain; the sink said: {self.log()[-3000:]}")

    def committed(self) -> bool:
        """Is everything committed?"""

        async def lag() -> int:
            ends = await self._ends()
            async with kafka_reader(self.kafka, group_id=self.group) as consumer:
                consumer.assign(list(ends))
                done = {tp: await consumer.committed(tp) for tp in ends}
            return sum(end - (done[tp] or 0) for tp, end in ends.items())

        return asyncio.run(lag()) == 0

    def stop(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.wait(10)


@pytest.fixture
def sink(kafka: Kafka, database: ClickHouseSettings, tmp_path: Path) -> Iterator[Sink]:
    one = Sink(kafka, database, tmp_path)
    try:
        yield one
    finally:
        one.stop()


def records_of(numbers: range) -> list[tuple[str, bytes]]:
    """For each number one record per topic, and two versions of its journey."""
    records = []
    for number in numbers:
        records += [
            ("touchpoints", touchpoint(number)),
            ("people", assigned(number)),
            ("identities", identity(number)),
            ("journeys", journey(number)),
            ("journeys", journey(number, version=2, touchpoints=5)),
            ("outcomes", outcome(number)),
            ("late", came_late(number)),
            ("alerts", alert(number)),
            ("ledger", counted({"stored": number}, hour=MARCH + number * HOUR)),
        ]
    return records


def live(number: int) -> dict[str, int]:
    return {
        "touchpoints": number,
        "person_touchpoints": number,
        "identities": number,
        "journeys": number,
        "outcomes": number,
        "late": number,
        "alerts": number,
        "dead_letters": 0,
        "ledger": number,
    }


def at_work(sink: Sink, seen: int) -> bool:
    """Has it written more than it had before?"""
    return sink.counts()["touchpoints"] > seen


def test_everything_run_twice_is_there_once(sink: Sink) -> None:
    records = [*records_of(range(2_000)), ("people", watermark())]
    sink.produce(records)
    process = sink.start()
    sink.wait(lambda: sink.counts() == live(2_000))
    sink.wait(lambda: sum(row[0] for row in sink.ask("SELECT sum(entered) FROM v_funnel WHERE stage = 1")) == 2_000)
    first = sink.digests()
    sink.produce(records)  # every leg delivered twice
    sink.wait(sink.committed)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    other = f"{sink.group}-again"
    sink.begin_at(other)  # and the whole log read again
    sink.group = other
    sink.start()
    sink.wait(sink.committed)
    assert sink.counts() == live(2_000)
    assert sink.digests() == first
    assert sink.ask("SELECT min(touchpoints), max(touchpoints) FROM v_journeys") == [(5, 5)]


def test_an_orderly_stop_leaves_nothing_to_do_again(sink: Sink) -> None:
    process = sink.start()
    sink.produce(records_of(range(500)))
    sink.wait(lambda: sink.counts() == live(500))
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert sink.committed()


def test_killed_sinks_lose_and_double_nothing(sink: Sink) -> None:
    sink.start(DESIRELINE_SINK_BATCH_ROWS="100")
    for round_ in range(3):
        sink.produce(records_of(range(round_ * 600, (round_ + 1) * 600)))
        sink.wait(partial(at_work, sink, round_ * 600))
        sink._running[-1].kill()
        sink._running[-1].wait(10)
        sink.start(DESIRELINE_SINK_BATCH_ROWS="100")
    sink.wait(sink.committed)
    assert sink.counts() == live(1_800)
    expected = sink.digests()
    sink.produce(records_of(range(1_800)))
    sink.wait(sink.committed)
    assert sink.digests() == expected


def test_two_sinks_share_the_work(sink: Sink) -> None:
    sink.start()
    sink.start()
    sink.produce(records_of(range(1_000)))
    sink.wait(sink.committed)
    assert sink.counts() == live(1_000)


def test_clickhouse_killed_while_rows_are_written(sink: Sink, clickhouse: ClickHouse) -> None:
    process = sink.start(DESIRELINE_SINK_BATCH_ROWS="200")
    for round_ in range(3):
        sink.produce(records_of(range(round_ * 1_500, (round_ + 1) * 1_500)))
        sink.wait(partial(at_work, sink, round_ * 1_500))
        clickhouse.kill()
        sink.produce(records_of(range(100_000 + round_, 100_001 + round_)))  # Kafka holds what comes meanwhile
        clickhouse.start()
    sink.wait(sink.committed)
    assert process.poll() is None, "it waited and did not end"
    assert sink.counts() == live(4_503)
    assert "waiting for ClickHouse" in sink.log()
    assert "ClickHouse is back" in sink.log()


def test_a_poisoned_row_becomes_a_dead_letter_with_its_address(sink: Sink) -> None:
    records = records_of(range(300))
    poison = {"touchpoints": b'{"event_id":"x","source":"till"}', "journeys": b"{", "people": b'{"person_id":1}'}
    for place, (topic, value) in enumerate(poison.items()):
        records.insert(600 + 7 * place, (topic, value))
    sink.produce(records)
    sink.start()
    sink.wait(lambda: sink.counts() == live(300) | {"dead_letters": 3})
    letters = sink.ask("SELECT leg, reason, source, address, record FROM v_dead_letters ORDER BY address")
    assert [(leg, reason) for leg, reason, *_ in letters] == [("sink", "unwritable")] * 3
    assert {record.encode() for *_, record in letters} == set(poison.values())
    assert [source for _, _, source, *_ in letters] == ["unknown", "unknown", "till"]
    for *_, address, record in letters:
        topic, partition, offset = address.split("/")
        assert poison[topic] == record.encode()
        assert int(offset) >= sink.begin[TopicPartition(topic, int(partition))]
    logged = [json.loads(line) for line in sink.log().splitlines() if "row refused" in line]
    assert {line["address"] for line in logged} == {address for *_, address, _ in letters}


def test_an_unusable_server_is_waited_for_and_named(sink: Sink) -> None:
    sink.produce(records_of(range(10)))
    process = sink.start(CLICKHOUSE_URL="http://nobody:wrong@127.0.0.1:1/desireline")
    sink.wait(lambda: "waiting for ClickHouse" in sink.log())
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert not sink.committed()
