"""How soon after its deadline a drop-off is seen, and after a late touchpoint that it was none, at a million open journeys.

    python -m benchmarks.dropoff [--journeys 1000000] [--rate 500] [--seconds 60]

First the whole line takes one touchpoint each of a million people, after which there is patience for a day. Then, so many a
second, one after the other does something after which there is patience for 15 s, and falls silent. A drop-off is seen on the
topic when a `read_committed` consumer gets it, in ClickHouse when a query finds it; queries follow one another, so the time
between two of them is in the figures. For one in 25 that has been seen a touchpoint comes late, from a second before the
deadline: from the collector's answer it is timed until the drop-off is taken back.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml
from aiokafka import AIOKafkaConsumer

from benchmarks import common
from benchmarks.filling import fill, filling
from benchmarks.http_line import SECRET, HttpLine, moment, running, send_on_time
from benchmarks.merges import spread
from schemas.identity import hasher
from schemas.outcome import Outcome
from schemas.topics import OUTCOMES, TOUCHPOINTS

PATIENCE = 15_000  # ms, of those who fall silent
LATE_EVERY = 25
BATCH = 20
QUERY_SECONDS = 0.15  # from the start of a query to that of the next, at least
LOOK_BACK = 20_000  # ms: a drop-off that is not found so long after its deadline is missing
TAKEN_BACK = 60_000  # ms: deadlines of those that may be taken back still
FILL_SECONDS = 900
STORED = (
    b'{"event_id":"%08x-0000-5000-8000-%012x","source":"benchmark","address":"customer_id:c%d","identifiers":'
    b'{"customer_id":"c%d"},"channel":"web","name":"looked","occurred_at":%d,"received_at":%d,"content":"%032x"}'
)
SEEN = """
    SELECT lower(hex(person_id)), toUnixTimestamp64Milli(at), retracted FROM outcomes
    WHERE toStartOfHour(at) >= toStartOfHour(fromUnixTimestamp64Milli({taken_back})) AND kind = 'dropped_off'
        AND at >= fromUnixTimestamp64Milli(if(retracted, {taken_back}, {since}))
"""
Key = tuple[str, int]  # person, deadline

_outcome = msgspec.json.Decoder(Outcome)


def definitions_in(folder: Path) -> Path:
    stages = [
        {"name": name, "patience": patience, "match": [{"name": name}]}
        for name, patience in (("looked", "1d"), ("compared", f"{PATIENCE // 1000}s"), ("bought", "1d"))
    ]
    file = folder / "journeys.yaml"
    file.write_text(yaml.safe_dump({"definitions": [{"name": "purchase", "goal": "bought", "stages": stages}]}))
    return file


class Silences:
    """Who falls silent when, who is late, and when what was seen."""

    def __init__(self) -> None:
        self._hashed = hasher(SECRET.encode())
        self._next = 0  # customer
        self._late: deque[tuple[int, int]] = deque()  # customer and deadline that a late touchpoint disproves
        self._customers: dict[Key, int] = {}  # of expected drop-offs
        self._sent: dict[int, list[Key]] = {}  # request → what its late touchpoints disprove
        self.on_topic: dict[Key, float] = {}  # seconds after the deadline
        self.in_table: dict[Key, float] = {}
        self._answered: dict[Key, float] = {}
        self.back_on_topic: dict[Key, float] = {}  # seconds after the answer
        self.back_in_table: dict[Key, float] = {}
        self.queries = 0
        self.sending = True

    # --- sending -----------------------------------------------------------------------------------------------------

    def body(self, number: int) -> bytes:
        at = time.time_ns() // 1_000_000
        items = []
        for _ in range(BATCH):
            customer, self._next = self._next, self._next + 1
            self._customers[self._hashed(f"customer_id:c{customer}").hex(), at + PATIENCE] = customer
            items.append(_touchpoint(customer, f"silent-{customer}", at))
        disproved = []
        while self._late:
            customer, deadline = self._late.popleft()
            items.append(_touchpoint(customer, f"late-{customer}", deadline - 1_000))
            disproved.append((self._hashed(f"customer_id:c{customer}").hex(), deadline))
        self._sent[number] = disproved
        return json.dumps(items).encode()

    def answered(self, number: int) -> None:
        self._answered |= dict.fromkeys(self._sent.pop(number), time.monotonic())

    @property
    def left(self) -> int:
        """Drop-offs and retractions that are waited for."""
        expected, answered = self._customers.keys(), self._answered.keys()
        return sum(
            len(waited - seen.keys())
            for waited, seen in (
                (expected, self.in_table),
                (expected, self.on_topic),
                (answered, self.back_in_table),
                (answered, self.back_on_topic),
            )
        )

    # --- seeing ------------------------------------------------------------------------------------------------------

    async def read(self, line: HttpLine) -> None:
        """The topic, until cancelled."""
        consumer = AIOKafkaConsumer(OUTCOMES.name, **line.kafka.client(), isolation_level="read_committed")
        await consumer.start()
        try:
            async for record in consumer:
                outcome = _outcome.decode(record.value)
                key = outcome.person_id, outcome.at
                if outcome.kind == "dropped_off" and key in self._customers:
                    self._see(key, outcome.retracted, self.on_topic, self.back_on_topic)
        finally:
            await consumer.stop()

    async def query(self, line: HttpLine) -> None:
        """The table, until nothing is waited for any more."""
        give_up = float("inf")
        while self.sending or self.left:
            if not self.sending:
                give_up = min(give_up, time.monotonic() + (PATIENCE + LOOK_BACK) / 1_000)
            if time.monotonic() > give_up:
                raise SystemExit(f"{self.left} drop-offs and retractions were not seen")
            began, at = time.monotonic(), time.time_ns() // 1_000_000
            sql = SEEN.format(since=at - LOOK_BACK, taken_back=at - TAKEN_BACK)
            for row in (await asyncio.to_thread(line.server.query, sql, 30)).splitlines():
                person, deadline, retracted = row.split("\t")
                key = person, int(deadline)
                if key in self._customers:
                    fresh = key not in self.in_table
                    self._see(key, retracted == "true", self.in_table, self.back_in_table)
                    if fresh and self.sending and self._customers[key] % LATE_EVERY == 0:
                        self._late.append((self._customers[key], key[1]))
            self.queries += 1
            await asyncio.sleep(max(0.0, began + QUERY_SECONDS - time.monotonic()))

    def _see(self, key: Key, retracted: bool, seen: dict[Key, float], back: dict[Key, float]) -> None:
        seen.setdefault(key, time.time() - key[1] / 1_000)
        if retracted and key in self._answered:
            back.setdefault(key, time.monotonic() - self._answered[key])


def _touchpoint(customer: int, event: str, at: int) -> dict[str, Any]:
    who = {"customer_id": f"c{customer}"}
    return {"event_id": event, "channel": "web", "name": "compared", "occurred_at": moment(at), "identifiers": who}


def stored(journeys: int) -> Iterator[tuple[bytes, bytes]]:
    """One touchpoint each, from now."""
    at = time.time_ns() // 1_000_000
    for n in range(journeys):
        yield b"customer_id:c%d" % n, STORED % (1, n, n, n, at, at, n)


async def open_journeys(line: HttpLine, journeys: int, partitions: int) -> float:
    """Seconds until all of them are in ClickHouse."""
    began = time.monotonic()
    async with filling(line.kafka, TOUCHPOINTS.name, partitions) as into:
        await fill(into, stored(journeys))
    while int(line.server.query("SELECT count() FROM journeys FINAL", 30)) < journeys:
        if time.monotonic() - began > FILL_SECONDS:
            raise SystemExit(f"{journeys} journeys were not opened within {FILL_SECONDS} s")
        await asyncio.sleep(1)
    return time.monotonic() - began


async def run(line: HttpLine, rate: float, seconds: float) -> Silences:
    silences = Silences()
    reading = asyncio.create_task(silences.read(line))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(silences.query(line))
        requests = rate / BATCH
        await send_on_time(line.port, int(requests * seconds), requests, silences.body, silences.answered)
        silences.sending = False
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    return silences


def measure(arguments: argparse.Namespace, line: HttpLine) -> dict[str, Any]:
    filled = asyncio.run(open_journeys(line, arguments.journeys, arguments.partitions))
    memory = common.resident_megabytes(line.processes["worker"].pid)
    before, began = line.cpu_seconds(), time.monotonic()
    silences = asyncio.run(run(line, arguments.rate, arguments.seconds))
    wall = time.monotonic() - began
    return {
        "partitions": arguments.partitions,
        "open_journeys": arguments.journeys,
        "deadlines_per_second": arguments.rate,
        "drop_offs": len(silences.in_table),
        "on_topic_seconds": spread(list(silences.on_topic.values())),
        "in_clickhouse_seconds": spread(list(silences.in_table.values())),
        "retractions": len(silences.back_in_table),
        "retraction_on_topic_seconds": spread(list(silences.back_on_topic.values())),
        "retraction_in_clickhouse_seconds": spread(list(silences.back_in_table.values())),
        "seconds_between_queries": round(wall / silences.queries, 3),
        "seconds_to_open_the_journeys": round(filled, 1),
        "worker_megabytes": memory,
        "cores_used": {name: round((used - before[name]) / wall, 2) for name, used in line.cpu_seconds().items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark of drop-offs and retractions.")
    parser.add_argument("--journeys", type=int, default=1_000_000)
    parser.add_argument("--rate", type=float, default=500.0, help="deadlines per second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--partitions", type=int, default=4)
    arguments = parser.parse_args()
    on = common.machine()
    with tempfile.TemporaryDirectory(prefix="desireline-benchmark-") as folder:
        # No grace: the line stands still for a moment when a million touchpoints come at once.
        settings = {
            "DESIRELINE_DEFINITIONS": str(definitions_in(Path(folder))),
            "DESIRELINE_OUTAGE_GRACE": "0",
        }
        with running(arguments.partitions, **settings) as line:
            common.publish("dropoff", on, measure(arguments, line))


if __name__ == "__main__":
    main()
