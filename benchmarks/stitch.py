"""What the stitch leg costs: from the `people` topic through Kafka, state and transactions into the `journeys` topic.

    python -m benchmarks.stitch [--touchpoints 1000000] [--rounds 3] [--no-peers]

One worker process runs the stitch leg alone. Each round writes its share of the touchpoints, one record each, in a transaction
that it commits when the clock starts; the clock stops when the leg has committed the last of them.

After each round, on the same broker and with the first of the same touchpoints: Faust as documented does the stitching job with
a Table, and Quix Streams only counts by key. Ratios are of touchpoints per CPU second, medians of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from benchmarks import common
from benchmarks.filling import Filling, filling, filling_unseen
from benchmarks.groups import Groups
from benchmarks.peers.running import Took, faust_table, quix_count
from benchmarks.people import Moment, assigned, moments
from runtime.kafka import TopicSpec, create_topics
from runtime.settings import KafkaSettings
from schemas.codec import encode
from schemas.person import ReadTo
from schemas.topics import PEOPLE

SECONDS = 120  # the longest that a round may take
PLAIN = "touchpoints-plain"
READ_TO_EVERY = 25_000  # touchpoints, between two statements of how far the identity leg has read


def figures(took: Took) -> dict[str, object]:
    return {
        "touchpoints": took.touchpoints,
        "touchpoints_per_second": round(took.touchpoints / took.wall),
        "touchpoints_per_second_per_core": round(took.touchpoints / took.cpu),
        "microseconds_per_touchpoint": round(took.cpu / took.touchpoints * 1e6, 2),
    }


async def write(into: Filling, share: list[Moment], partitions: int) -> None:
    """A round's touchpoints, as the identity leg would have written them."""
    for count, moment in enumerate(share):
        await into.add(moment.person_id.encode(), assigned(moment))
        if count % READ_TO_EVERY == 0:
            for leg_partition in range(partitions):
                for partition in range(partitions):
                    await into.put(partition, None, encode(ReadTo(leg_partition, moment.at)))
    await into.send_rest()


async def round_of(kafka: KafkaSettings, share: list[Moment], partitions: int, worker: int) -> Took:
    """One round of ours."""
    async with Groups(kafka) as groups:
        async with filling_unseen(kafka, PEOPLE.name, partitions) as into:
            await write(into, share, partitions)
            cpu, began = common.cpu_seconds(worker), time.monotonic()
        await groups.wait_for("stitch", into.ends, SECONDS)
    return Took(len(share), time.monotonic() - began, common.cpu_seconds(worker) - cpu)


def plain(moment: Moment) -> bytes:
    """The same touchpoint as the peers read it."""
    return encode(
        {
            "customer_id": moment.person_id,
            "event_id": moment.event_id,
            "occurred_at": moment.at,
            "channel": moment.channel,
            "name": moment.name,
        }
    )


async def write_plain(kafka: KafkaSettings, share: list[Moment], partitions: int) -> None:
    async with filling(kafka, PLAIN, partitions) as into:
        for moment in share:
            await into.add(moment.person_id.encode(), plain(moment))


def measure(arguments: argparse.Namespace, stack: ExitStack) -> dict[str, object]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="desireline-benchmark-")))
    kafka, _ = stack.enter_context(common.kafka(folder))
    partitions = arguments.partitions
    common.create_all_topics(kafka, partitions)
    create_topics(kafka, [TopicSpec(PLAIN, partitions)])
    environment = {"KAFKA_BOOTSTRAP": kafka.bootstrap}
    worker = stack.enter_context(common.process("worker", ["processors.app", "stitch"], folder, environment))
    worker.wait_until(lambda: common.times_said(worker, "partition opened") >= partitions, 60)
    touchpoints = moments(arguments.touchpoints, under_way=arguments.under_way)
    size = arguments.touchpoints // arguments.rounds
    ours: list[Took] = []
    faust: list[Took] = []
    quix: list[Took] = []
    for number in range(arguments.rounds):
        share = list(islice(touchpoints, size))
        ours.append(asyncio.run(round_of(kafka, share, partitions, worker.pid)))
        if not arguments.peers:
            continue
        if number == 0:
            asyncio.run(write_plain(kafka, share[: max(arguments.faust, arguments.quix)], partitions))
        faust.append(faust_table(kafka.bootstrap, PLAIN, partitions, f"faust-{number}", arguments.faust))
        quix.append(quix_count(kafka.bootstrap, PLAIN, f"quix-{number}", arguments.quix))
    return {
        "partitions": partitions,
        "touchpoints": arguments.touchpoints,
        "under_way": arguments.under_way,
        "touchpoints_per_second_per_core": round(per_core(ours)),
        "touchpoints_per_second": round(statistics.median(took.touchpoints / took.wall for took in ours)),
        "times_faust_table": round(per_core(ours) / per_core(faust), 1) if faust else None,
        "times_quix_count": round(per_core(ours) / per_core(quix), 2) if quix else None,
        "rounds": {
            name: [figures(took) for took in rounds]
            for name, rounds in (("stitch", ours), ("faust_table", faust), ("quix_count", quix))
        },
        "resident_megabytes": common.resident_megabytes(worker.pid),
    }


def per_core(rounds: list[Took]) -> float:
    """Touchpoints per CPU second, of the round in the middle."""
    return statistics.median(took.touchpoints / took.cpu for took in rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark of the stitch leg.")
    parser.add_argument("--touchpoints", type=int, default=1_000_000)
    parser.add_argument("--under-way", type=int, default=100_000, help="people on a journey at the same time")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--faust", type=int, default=30_000, help="touchpoints of each of Faust's rounds")
    parser.add_argument("--quix", type=int, default=200_000, help="touchpoints of each of Quix Streams' rounds")
    parser.add_argument("--no-peers", dest="peers", action="store_false")
    arguments = parser.parse_args()
    on = common.machine()
    with ExitStack() as stack:
        common.publish("stitch", on, measure(arguments, stack))


if __name__ == "__main__":
    main()
