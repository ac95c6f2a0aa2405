"""What the whole line does: both legs from Kafka to Kafka; and a file through `import`, both legs and the sink to ClickHouse.

    python -m benchmarks.line [--legs 300000] [--import 400000]

First one worker process with both legs takes what lies in the topic `touchpoints`; so many customers are under way there that
80 % of the touchpoints say nothing new, and the rest are a device's first or a sign-in. Then, on fresh servers, a file of
touchpoints as a source sends them is imported while everything runs on this machine; the clock stops when ClickHouse has all
rows.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import psutil

from benchmarks import common
from benchmarks.filling import fill, filling_unseen
from benchmarks.groups import Groups
from deploy.local.child import Child
from deploy.local.clickhouse import ClickHouseServer
from ingest.simulator.bulk import bulk
from runtime.settings import KafkaSettings
from schemas.codec import encode
from schemas.topics import PEOPLE, TOUCHPOINTS

SECONDS = 240
UNDER_WAY = 20_000  # customers who walk at the same time
NOT_SENT = ("address", "received_at", "content", "source")  # what only we add to a touchpoint
WRITTEN = """
    SELECT (SELECT count() FROM touchpoints FINAL), (SELECT count() FROM person_touchpoints FINAL),
           (SELECT sum(touchpoints) FROM journeys FINAL)
"""


async def take(kafka: KafkaSettings, touchpoints: int, partitions: int, worker: int) -> tuple[float, float]:
    """Wall and CPU seconds of the worker for touchpoints that appear all at once, until both legs have committed them."""
    async with Groups(kafka) as groups:
        async with filling_unseen(kafka, TOUCHPOINTS.name, partitions) as into:
            await fill(into, bulk(touchpoints, under_way=UNDER_WAY))
            cpu, began = common.cpu_seconds(worker), time.monotonic()
        await groups.wait_for("identity", into.ends, SECONDS)
        await groups.wait_for("stitch", await groups.ends(PEOPLE.name, partitions), SECONDS)
    return time.monotonic() - began, common.cpu_seconds(worker) - cpu


class _Identified(msgspec.Struct):
    identifiers: dict[str, str]


def saying_nothing_new(touchpoints: int) -> float:
    """The share of touchpoints on a device that was seen before, with the name that it had or none."""
    names: dict[str, str | None] = {}
    nothing_new = 0
    decoder = msgspec.json.Decoder(_Identified)
    for _, stored in bulk(touchpoints, under_way=UNDER_WAY):
        identifiers = decoder.decode(stored).identifiers
        device, name = identifiers["anonymous_id"], identifiers.get("customer_id")
        if device in names and name in (None, names[device]):
            nothing_new += 1
        names[device] = name or names.get(device)
    return nothing_new / touchpoints


def both_legs(touchpoints: int, partitions: int) -> dict[str, object]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="desireline-benchmark-")))
        kafka, _ = stack.enter_context(common.kafka(folder))
        common.create_all_topics(kafka, partitions)
        worker = stack.enter_context(
            common.process("worker", ["processors.app"], folder, {"KAFKA_BOOTSTRAP": kafka.bootstrap})
        )
        worker.wait_until(lambda: common.times_said(worker, "partition opened") >= 2 * partitions, 60)
        wall, cpu = asyncio.run(take(kafka, touchpoints, partitions, worker.pid))
        return {
            "touchpoints": touchpoints,
            "share_saying_nothing_new": round(saying_nothing_new(touchpoints), 3),
            "touchpoints_per_second": round(touchpoints / wall),
            "touchpoints_per_second_per_core": round(touchpoints / cpu),
            "microseconds_per_touchpoint": round(cpu / touchpoints * 1e6, 1),
        }


def write_file(file: Path, touchpoints: int) -> None:
    """The simulator's touchpoints as their source sent them, one a line."""
    with file.open("wb") as out:
        for _, stored in bulk(touchpoints):
            sent: dict[str, Any] = msgspec.json.decode(stored)
            for name in NOT_SENT:
                del sent[name]
            out.write(encode(sent) + b"\n")


def written(server: ClickHouseServer) -> list[int]:
    """Touchpoints, touchpoints with a person, and touchpoints in journeys."""
    return [int(count) for count in server.query(WRITTEN, seconds=60).split("\t")]


def used(processes: dict[str, Child], last: dict[str, float]) -> dict[str, float]:
    """CPU seconds of each process so far; of one that has ended, as last seen."""
    for name, child in processes.items():
        try:
            last[name] = common.cpu_seconds(child.pid)
        except psutil.NoSuchProcess:
            continue
    return last


def whole_line(touchpoints: int, partitions: int) -> dict[str, object]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="desireline-benchmark-")))
        file = folder / "touchpoints.jsonl"
        write_file(file, touchpoints)
        kafka, broker = stack.enter_context(common.kafka(folder))
        server, clickhouse = stack.enter_context(common.clickhouse(folder))
        common.create_all_topics(kafka, partitions)
        environment = {
            "KAFKA_BOOTSTRAP": kafka.bootstrap,
            "CLICKHOUSE_URL": server.url,
            "CLICKHOUSE_NATIVE_PORT": str(server.native_port),
            "DESIRELINE_HOME": str(folder),
        }
        worker = stack.enter_context(common.process("worker", ["processors.app"], folder, environment))
        sink = stack.enter_context(common.process("sink", ["sinks.app"], folder, environment))
        worker.wait_until(lambda: common.times_said(worker, "partition opened") >= 2 * partitions, 60)
        processes = {"worker": worker, "sink": sink, "kafka": broker, "clickhouse": clickhouse}
        before = used(processes, {})
        began = time.monotonic()
        importing = stack.enter_context(
            common.process("import", ["cli", "import", str(file), "--source", "bulk"], folder, environment)
        )
        processes["import"] = importing
        before["import"] = 0.0
        now = dict(before)
        while importing.alive:
            used(processes, now)
            time.sleep(0.02)
        imported = time.monotonic() - began
        if importing.exit_code:
            raise SystemExit(importing.how_it_ended())
        common.wait_until(lambda: min(written(server)) >= touchpoints, SECONDS, "rows in ClickHouse", pause=0.25)
        wall = time.monotonic() - began
        cpu = {name: used(processes, now)[name] - before[name] for name in processes}
        counts = written(server)
    return {
        "touchpoints": touchpoints,
        "touchpoints_per_second": round(touchpoints / wall),
        "seconds": round(wall, 1),
        "seconds_importing": round(imported, 1),
        "rows": dict(zip(("touchpoints", "person_touchpoints", "touchpoints_in_journeys"), counts, strict=True)),
        "cpu_seconds": {name: round(seconds, 1) for name, seconds in cpu.items()},
        "cpu_microseconds_per_touchpoint": {
            name: round(seconds / touchpoints * 1e6, 1) for name, seconds in cpu.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark of the whole line.")
    parser.add_argument("--legs", type=int, default=300_000, help="touchpoints for both legs, Kafka to Kafka")
    parser.add_argument("--import", dest="imported", type=int, default=400_000, help="touchpoints in the file")
    parser.add_argument("--partitions", type=int, default=4)
    arguments = parser.parse_args()
    on = common.machine()
    legs = both_legs(arguments.legs, arguments.partitions)
    print(legs, file=sys.stderr)
    line = whole_line(arguments.imported, arguments.partitions)
    common.publish("line", on, {"partitions": arguments.partitions, "both_legs": legs, "whole_line": line})


if __name__ == "__main__":
    main()
