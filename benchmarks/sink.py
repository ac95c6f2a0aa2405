"""What a touchpoint costs on its way from Kafka into ClickHouse: rows/s and CPU, of the sink and of the server.

    python -m benchmarks.sink [--touchpoints 100000] [--partitions 4]

starts a broker and a ClickHouse server of its own. First each way of writing alone (no Kafka), table by table, then the
sink process from a filled log to the last commit. Prints one JSON object; CPU is user and system time of each process.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil
from aiokafka import AIOKafkaProducer

from benchmarks.collector import broker
from benchmarks.common import machine, publish
from deploy.local.child import Child
from deploy.local.clickhouse import ClickHouseServer
from deploy.local.ports import free_port
from runtime.kafka import TopicSpec, create_topics
from runtime.settings import ClickHouseSettings, KafkaSettings
from schemas.person import Assigned
from sinks.clickhouse import HttpWriter
from sinks.migrate import migrate
from sinks.reader import connect
from sinks.rows import TABLES, lines_of
from tests.sink_records import FakeRecord, assigned, journey, touchpoint

BATCH = 10_000
TOPICS = ("touchpoints", "people", "journeys")
GIVE_UP_SECONDS = 300
# Journeys are rewritten: their versions are the numbers of the touchpoints, in log order per partition.
WRITTEN = """
    SELECT (SELECT count() FROM touchpoints), (SELECT count() FROM person_touchpoints), (SELECT max(version) FROM journeys)
"""


def values(topic: str, numbers: Iterable[int]) -> list[bytes]:
    """One record per touchpoint; its journey, mean path 10, is written anew with it."""
    if topic == "touchpoints":
        return [touchpoint(number) for number in numbers]
    if topic == "people":
        return [assigned(number) for number in numbers]
    return [journey(number // 10, version=number + 1, steps=number % 10 + 6) for number in numbers]


class Stopwatch:
    """CPU seconds of processes, and wall time, between start and reading."""

    def __init__(self, **pids: int) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._before = self._cpu()
        self._began = time.monotonic()

    def _cpu(self) -> dict[str, float]:
        times = {name: process.cpu_times() for name, process in self._processes.items()}
        return {name: used.user + used.system for name, used in times.items()}

    def read(self, touchpoints: int) -> dict[str, float]:
        wall, now = time.monotonic() - self._began, self._cpu()
        used = {f"{name}_cpu_microseconds": (now[name] - self._before[name]) / touchpoints * 1e6 for name in now}
        return {"rows_per_second": round(touchpoints / wall)} | {name: round(value, 2) for name, value in used.items()}


def through_http(writer: HttpWriter, topic: str, batches: Sequence[Sequence[FakeRecord]]) -> None:
    for batch in batches:
        writer.write(TABLES[topic], lines_of(topic, batch))


def through_driver(client: Any, batches: Sequence[Sequence[FakeRecord]]) -> None:
    """`people` by clickhouse-driver, columnar: decode, make columns, write."""
    decode = msgspec.json.Decoder(Assigned).decode
    names = (
        "person_id, event_id, occurred_at, sequence, channel, name, rules, amount, currency, feedback, score, sentiment, "
        "arrived_at, version, is_deleted"
    )
    for batch in batches:
        rows = []
        for record in batch:
            said = decode(record.value)
            fold = said.record
            assert fold is not None
            rows.append(
                (
                    said.person_id, said.event_id, datetime.fromtimestamp(fold.at / 1000, UTC), fold.sequence, fold.channel,
                    fold.name, fold.rules, fold.amount, fold.currency, fold.feedback, fold.score, fold.sentiment,
                    datetime.fromtimestamp(said.arrived / 1000, UTC), said.revision << 32 | said.move, 0,
                )
            )  # fmt: skip
        columns = [list(column) for column in zip(*rows, strict=True)]
        client.execute(f"INSERT INTO person_touchpoints ({names}) VALUES", columns, columnar=True)


def writing(settings: ClickHouseSettings, server: int, touchpoints: int) -> dict[str, Any]:
    """Each way alone."""
    found: dict[str, Any] = {}

    def timed(name: str, write: Callable[[], None]) -> None:
        watch = Stopwatch(client=os.getpid(), clickhouse=server)
        write()
        found[name] = watch.read(touchpoints)

    writer = HttpWriter(settings)
    for topic in TOPICS:
        records = [FakeRecord(topic, offset, value) for offset, value in enumerate(values(topic, range(touchpoints)))]
        batches = [records[at : at + BATCH] for at in range(0, len(records), BATCH)]
        through_http(writer, topic, batches[:1])  # warm up
        timed(f"{TABLES[topic]} http", lambda topic=topic, batches=batches: through_http(writer, topic, batches))  # type: ignore[misc]
        if topic == "people":
            with connect(settings) as client:
                through_driver(client, batches[:1])
                timed(f"{TABLES[topic]} driver", lambda batches=batches, client=client: through_driver(client, batches))  # type: ignore[misc]
    writer.close()
    return found


async def fill(kafka: KafkaSettings, touchpoints: int, partitions: int) -> None:
    """The log as the legs would have left it, a customer's records together."""
    producer = AIOKafkaProducer(**kafka.client(), linger_ms=20, max_batch_size=1 << 18)
    await producer.start()
    try:
        for begin in range(0, touchpoints, BATCH):
            numbers = range(begin, min(begin + BATCH, touchpoints))
            pending = []
            for topic in TOPICS:
                for number, value in zip(numbers, values(topic, numbers), strict=True):
                    pending.append(await producer.send(topic, value, partition=number // 10 % partitions))
            await asyncio.gather(*pending)
    finally:
        await producer.stop()


def whole_sink(
    kafka: KafkaSettings, settings: ClickHouseSettings, server: int, touchpoints: int, folder: Path, stack: ExitStack
) -> dict[str, float]:
    """From a filled log to the last row, with the rollups kept fresh."""
    environment = {
        "KAFKA_BOOTSTRAP": kafka.bootstrap,
        "CLICKHOUSE_URL": settings.url,
        "CLICKHOUSE_NATIVE_PORT": str(settings.native_port),
    }
    sink = Child("sink", [sys.executable, "-m", "sinks.app"], folder / "sink.log", environment)
    stack.callback(sink.kill)
    with connect(settings) as client:

        def written() -> tuple[int, int, int]:
            found: tuple[int, int, int] = client.execute(WRITTEN)[0]
            return found

        sink.start()
        sink.wait_until(lambda: min(written()) > 0, 60)
        watch, done = Stopwatch(sink=sink.pid, clickhouse=server), min(written())
        give_up = time.monotonic() + GIVE_UP_SECONDS
        while min(written()) < touchpoints:
            if time.monotonic() > give_up:
                raise TimeoutError(sink.last_words())
            time.sleep(0.1)
        return watch.read(touchpoints - done)


def measure(arguments: argparse.Namespace, stack: ExitStack) -> dict[str, Any]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="desireline-benchmark-")))
    port = free_port()
    server = ClickHouseServer(folder / "clickhouse", port, free_port({port}))
    server.write_configuration()
    child = Child("clickhouse", server.argv(), folder / "clickhouse.log")
    stack.callback(child.kill)
    child.start()
    child.wait_until(server.ready, 60)
    alone = ClickHouseSettings(url=server.url.replace("/desireline", "/alone"), native_port=server.native_port)
    whole = ClickHouseSettings(url=server.url, native_port=server.native_port)
    migrate(alone)
    migrate(whole)
    ways = writing(alone, child.pid, arguments.touchpoints)
    kafka = KafkaSettings(bootstrap=stack.enter_context(broker(None, folder)))
    create_topics(kafka, [TopicSpec(topic, arguments.partitions) for topic in TABLES])
    asyncio.run(fill(kafka, arguments.touchpoints, arguments.partitions))
    return {
        "partitions": arguments.partitions,
        "touchpoints": arguments.touchpoints,
        "ways": ways,
        "sink": whole_sink(kafka, whole, child.pid, arguments.touchpoints, folder, stack),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark of the sink.")
    parser.add_argument("--touchpoints", type=int, default=100_000)
    parser.add_argument("--partitions", type=int, default=4)
    arguments = parser.parse_args()
    on = machine()
    with ExitStack() as stack:
        publish("sink", on, measure(arguments, stack))


if __name__ == "__main__":
    main()
