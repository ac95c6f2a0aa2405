"""How long a partition stands still when one of two workers is killed with -9 under load, and whether anything is lost.

    python -m benchmarks.takeover [--kills 3] [--rate 4000]

Both workers run both legs. After each kill: seconds until every partition of both legs has committed something that was written
after the kill; then a new worker takes the dead one's place. At the end every touchpoint must be in `people` once, and in a
journey.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import msgspec

from benchmarks import common
from benchmarks.filling import Filling, filling
from benchmarks.groups import Groups
from deploy.local.child import Child
from ingest.simulator.bulk import bulk
from runtime.kafka import read_topic
from runtime.settings import KafkaSettings
from schemas.topics import JOURNEYS, PEOPLE, TOUCHPOINTS

LEGS = ((TOUCHPOINTS.name, "identity"), (PEOPLE.name, "stitch"))
ASSIGNED = "partitions assigned"  # what a worker logs, once per leg, when it has joined
CUSTOMERS = 20_000
SECONDS = 60  # the longest that anything here may take


class _Said(msgspec.Struct):
    event_id: str = ""


class _Row(msgspec.Struct):
    journey_id: str
    touchpoints: int
    version: int


class Load:
    """Touchpoints into Kafka at a steady rate, until stopped."""

    def __init__(self, into: Filling, rate: float) -> None:
        self._into, self._rate = into, rate
        self.sent = 0
        self.going_on = True

    async def run(self) -> None:
        began, touchpoints = time.monotonic(), bulk(10**9, under_way=CUSTOMERS)
        while self.going_on:
            while self.sent < (time.monotonic() - began) * self._rate:
                await self._into.add(*next(touchpoints))
                self.sent += 1
            await self._into.send_rest()
            await asyncio.sleep(0.05)


async def flowing(groups: Groups, partitions: int) -> float:
    """Seconds from now until every partition of both legs has taken something that was written later."""
    began = time.monotonic()
    for topic, group in LEGS:
        ends = {tp: end + 1 for tp, end in (await groups.ends(topic, partitions)).items()}
        await groups.wait_for(group, ends, SECONDS)
    return time.monotonic() - began


async def lost(kafka: KafkaSettings, sent: int) -> dict[str, int]:
    """What is missing, or there twice, after everything has been taken."""
    decode, row = msgspec.json.Decoder(_Said).decode, msgspec.json.Decoder(_Row).decode
    events = [
        said.event_id
        for record in await read_topic(kafka, PEOPLE.name)
        if (said := decode(record.value or b"{}")).event_id
    ]
    newest: dict[str, _Row] = {}
    for record in await read_topic(kafka, JOURNEYS.name):
        journey = row(record.value or b"")
        if journey.journey_id not in newest or newest[journey.journey_id].version < journey.version:
            newest[journey.journey_id] = journey
    return {
        "lost": sent - len(set(events)),
        "twice": len(events) - len(set(events)),
        "not_in_journeys": sent - sum(journey.touchpoints for journey in newest.values()),
    }


async def start_again(worker: Child) -> None:
    """Start the killed worker; return when it has joined both groups. The load goes on."""
    joined = common.times_said(worker, ASSIGNED) + len(LEGS)
    worker.start()
    there = partial(_has_joined, worker, joined)
    await asyncio.to_thread(common.wait_until, there, SECONDS, "a new worker in its groups")


def _has_joined(worker: Child, times: int) -> bool:
    return common.times_said(worker, ASSIGNED) >= times


async def run(kafka: KafkaSettings, workers: list[Child], arguments: argparse.Namespace) -> dict[str, object]:
    seconds: list[float] = []
    async with Groups(kafka) as groups, filling(kafka, TOUCHPOINTS.name, arguments.partitions) as into:
        load = Load(into, arguments.rate)
        sending = asyncio.create_task(load.run())
        await flowing(groups, arguments.partitions)
        for number in range(arguments.kills):
            victim = workers[number % len(workers)]
            victim.kill()
            seconds.append(await flowing(groups, arguments.partitions))
            print(f"all partitions flow again after {seconds[-1]:.1f} s", file=sys.stderr)
            await start_again(victim)
            await flowing(groups, arguments.partitions)
        load.going_on = False
        await sending
        for topic, group in LEGS:
            await groups.wait_for(group, await groups.ends(topic, arguments.partitions), SECONDS)
        await groups.wait_for("stitch", await groups.ends(PEOPLE.name, arguments.partitions), SECONDS)
    return {
        "partitions": arguments.partitions,
        "touchpoints_per_second": arguments.rate,
        "touchpoints": load.sent,
        "seconds_until_all_flow": [round(one, 2) for one in seconds],
        "seconds_median": round(statistics.median(seconds), 2),
        "seconds_max": round(max(seconds), 2),
        **await settled(kafka, load.sent),
    }


async def settled(kafka: KafkaSettings, sent: int) -> dict[str, int]:
    """`lost`, once the journeys' last rows, which may wait a second, are written."""
    give_up = time.monotonic() + SECONDS
    while any((found := await lost(kafka, sent)).values()) and time.monotonic() < give_up:
        print(f"not settled yet: {found}", file=sys.stderr)
        await asyncio.sleep(1)
    return found


def measure(arguments: argparse.Namespace, stack: ExitStack) -> dict[str, object]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="desireline-benchmark-")))
    kafka, _ = stack.enter_context(common.kafka(folder))
    common.create_all_topics(kafka, arguments.partitions)
    environment = {"KAFKA_BOOTSTRAP": kafka.bootstrap}
    workers = [
        stack.enter_context(common.process(name, ["processors.app"], folder, environment)) for name in ("one", "two")
    ]
    return asyncio.run(run(kafka, workers, arguments))


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark of taking over from a killed worker.")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--rate", type=float, default=4000.0, help="touchpoints per second")
    parser.add_argument("--partitions", type=int, default=4)
    arguments = parser.parse_args()
    on = common.machine()
    with ExitStack() as stack:
        common.publish("takeover", on, measure(arguments, stack))


if __name__ == "__main__":
    main()
