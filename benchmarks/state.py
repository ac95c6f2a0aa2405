"""What state costs: bytes per touchpoint of both legs, memory and time of a restart with a million people, and whether the cost
of a touchpoint stays flat while the state grows.

    python -m benchmarks.state [--people 1000000] [--flat 1 5 20]

Bytes and flatness are measured on partitions in this process, without Kafka; the restart on a worker process with a broker.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks import common
from benchmarks.filling import filling
from benchmarks.people import Moment, assigned, moments
from ingest.simulator.bulk import bulk
from processors.app import IdentityLeg, StitchLeg
from processors.packing import SIZE
from processors.settings import WorkerSettings
from runtime.chunked.leg import Chunk, Leg, Partition
from runtime.kafka import partition_of
from runtime.settings import KafkaSettings
from schemas.definition import STARTS, load_definitions
from schemas.identity import DEFAULT_KINDS
from schemas.topics import PEOPLE, TOUCHPOINTS

ROUNDS = 2
GC_THRESHOLD = (200_000, 20, 50)
PATH = 10  # touchpoints per person
CHUNK, BATCH = 5_000, 20_000
UNDER_WAY = 100_000
OF_ANYBODY = 0.1  # one touchpoint of a path of ten may be the first of somebody who comes back
NOW = 1_800_000_000_000
MILLION = 1_000_000
State = dict[bytes, bytes]


def run(partition: Partition, topic: str, values: Iterator[bytes], state: State | None = None) -> float:
    """CPU seconds of taking all of it in chunks, and collecting in batches; what is collected goes into `state`."""
    began, now, taken = time.process_time(), NOW, 0
    while chunk := list(islice(values, CHUNK)):
        size = len(chunk)
        partition.take(Chunk(topic, 0, list(range(size)), [now] * size, [None] * size, list(chunk)))
        taken += size
        if taken % BATCH == 0 or size < CHUNK:
            now += 1000
            partition.tick(now, {})
            changed, _ = partition.collect(now)
            if state is not None:
                state |= {key: value for key, value in changed.items() if value is not None}
    return time.process_time() - began


def bytes_of(state: State) -> int:
    return sum(len(key) + len(value) for key, value in state.items())


def both_states(legs: tuple[IdentityLeg, StitchLeg], touchpoints: int) -> tuple[State, State]:
    """The changelogs' content after so many touchpoints, each in one partition."""
    identity: State = {}
    stitch: State = {}
    under_way = touchpoints // PATH // 100  # few have not come to the end of their path
    stored = (value for _, value in bulk(touchpoints, under_way=under_way))
    run(legs[0].partition(0), TOUCHPOINTS.name, stored, identity)
    told = (assigned(moment) for moment in moments(touchpoints, under_way=under_way, known=0.0))
    run(legs[1].partition(0), PEOPLE.name, told, stitch)
    return identity, stitch


def clones(state: State, prefix: bytes, times: int) -> Iterator[tuple[bytes, bytes]]:
    """The state's people so many times over, with ids of their own."""
    for key, value in state.items():
        if key[:1] == prefix:
            for number in range(times):
                yield key[:-3] + number.to_bytes(3, "big") if prefix == b"p" else key + b"-%d" % number, value


# --- restart ---------------------------------------------------------------------------------------------------------


async def prepare(kafka: KafkaSettings, leg: Leg, people: State, prefix: bytes, times: int, partitions: int) -> int:
    """Fill a leg's changelog with people, and give its group offsets, as if it had run; records written."""
    count = 0
    async with filling(kafka, leg.changelog, partitions) as into:
        for partition in range(partitions):
            for key, value in people.items():
                if key[:1] != prefix:  # vocabularies, and what the partition says of itself
                    await into.put(partition, key, value)
        for key, value in clones(people, prefix, times):
            await into.put(partition_of(key, partitions), key, value)
            count += 1
    consumer = AIOKafkaConsumer(**kafka.client(), group_id=leg.name, enable_auto_commit=False)
    await consumer.start()
    try:
        sources = [TopicPartition(topic, number) for topic in leg.sources for number in range(partitions)]
        consumer.assign(sources)
        await consumer.commit(dict.fromkeys(sources, 0))
    finally:
        await consumer.stop()
    return count


def restart(
    legs: tuple[IdentityLeg, StitchLeg], states: tuple[State, State], people: int, partitions: int
) -> dict[str, object]:
    """A worker process with both legs, from its start until every partition is open."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="desireline-benchmark-")))
        kafka, _ = stack.enter_context(common.kafka(folder))
        common.create_all_topics(kafka, partitions)
        counts = {}
        filled: tuple[tuple[Leg, State, bytes], ...] = (legs[0], states[0], b"h"), (legs[1], states[1], b"p")
        for leg, state, prefix in filled:
            times = -(-people // sum(key[:1] == prefix for key in state))
            counts[leg.name] = asyncio.run(prepare(kafka, leg, state, prefix, times, partitions))
        began = time.monotonic()
        worker = stack.enter_context(
            common.process("worker", ["processors.app"], folder, {"KAFKA_BOOTSTRAP": kafka.bootstrap})
        )
        worker.wait_until(lambda: common.times_said(worker, "partition opened") >= len(legs) * partitions, 240)
        return {
            "people": counts,
            "seconds": round(time.monotonic() - began, 1),
            "cpu_seconds": round(common.cpu_seconds(worker.pid), 1),
            "resident_megabytes": common.resident_megabytes(worker.pid),
        }


# --- flatness --------------------------------------------------------------------------------------------------------


def later(people: int, touchpoints: int) -> Iterator[bytes]:
    """The next touchpoints of people who have some: of the `UNDER_WAY` who are on a journey, and now and then of anybody."""
    chance = random.Random(1)
    for number in range(touchpoints):
        person = chance.randrange(people if chance.random() < OF_ANYBODY else min(people, UNDER_WAY))
        yield assigned(Moment(person, 10**9 + number, NOW + number, "web", "search", 2 | STARTS))


def cost_at(leg: StitchLeg, sample: State, touchpoints: int, measured: int) -> float:
    """CPU seconds per touchpoint of a partition whose people have so many touchpoints already, ten each."""
    value = next(value for key, value in sample.items() if key[:1] == b"p" and (len(value) - 1) // SIZE == PATH)
    partition = leg.partition(0)
    partition.restore((key, value) for key, value in sample.items() if key[:1] != b"p")
    people = touchpoints // PATH
    partition.restore((b"p" + bytes.fromhex(Moment(n, 0, 0, "", "", 0).person_id), _own(value)) for n in range(people))
    run(partition, PEOPLE.name, later(people, CHUNK))  # opens the state
    prepared = list(later(people, CHUNK + measured))[CHUNK:]
    return run(partition, PEOPLE.name, iter(prepared)) / measured


def _own(value: bytes) -> bytes:
    """A copy: each person's state is an object of its own, as after a real restore."""
    return bytes(bytearray(value))


def measure(arguments: argparse.Namespace) -> dict[str, object]:
    definitions = load_definitions()
    settings = WorkerSettings()
    legs = IdentityLeg(settings, definitions, DEFAULT_KINDS, 1), StitchLeg(settings, definitions, 1)
    states = both_states(legs, arguments.touchpoints)
    identity, stitch = states
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)  # as in the worker
    rounds = [
        [cost_at(legs[1], stitch, size * MILLION, arguments.measured) for size in arguments.flat] for _ in range(ROUNDS)
    ]
    least = [min(costs) for costs in zip(*rounds, strict=True)]  # other work on the machine only adds
    return {
        "partitions": arguments.partitions,
        "touchpoints": arguments.touchpoints,
        "bytes_per_touchpoint_stitch": round(bytes_of(stitch) / arguments.touchpoints, 1),
        "bytes_per_touchpoint_identity": round(bytes_of(identity) / arguments.touchpoints, 1),
        "restart": restart(legs, states, arguments.people, arguments.partitions),
        "microseconds_per_touchpoint_in_process": {
            f"{size}M": round(cost * 1e6, 2) for size, cost in zip(arguments.flat, least, strict=True)
        },
        "growth_of_cost": round(least[-1] / least[0] - 1, 3) if least else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark of the legs' state.")
    parser.add_argument("--touchpoints", type=int, default=200_000, help="for the bytes of each, ten per person")
    parser.add_argument("--people", type=int, default=MILLION, help="people of each leg at the restart")
    parser.add_argument("--flat", type=int, nargs="*", default=[1, 5, 20], help="millions of touchpoints in the state")
    parser.add_argument("--measured", type=int, default=100_000, help="touchpoints taken at each size")
    parser.add_argument("--partitions", type=int, default=4)
    arguments = parser.parse_args()
    on = common.machine()
    common.publish("state", on, measure(arguments))


if __name__ == "__main__":
    main()
