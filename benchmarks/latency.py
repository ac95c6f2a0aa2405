"""How long after its HTTP answer a touchpoint's journey can be seen in ClickHouse, while 2,000 touchpoints arrive each second.

    python -m benchmarks.latency [--rate 2000] [--seconds 60]

Every request carries one touchpoint of a customer never seen before, the probe; the others are of customers on their way. A
probe is seen when a query finds its journey; queries follow one another, so the time between two of them is in the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time

from benchmarks import common
from benchmarks.http_line import SECRET, HttpLine, now, running, send_on_time
from deploy.local.clickhouse import ClickHouseServer
from schemas.identity import person_id

BATCH = 20
CUSTOMERS = 20_000
QUERY_SECONDS = 0.03  # between two queries
WARM_UP = 1_000_000_000  # number of the first request before the clock starts
PATIENCE = 30.0  # for the last probes
NAMES = ("ad_clicked", "menu_viewed", "search", "product_viewed", "cart", "checkout", "ordered", "paid")
SEEN = """
    SELECT lower(hex(person_id)) FROM journeys
    WHERE definition = 'purchase' AND started_at >= fromUnixTimestamp64Milli({since}) AND entry_channel = 'probe'
"""


def probe_person(number: int) -> str:
    return person_id(f"customer_id:probe-{number}", SECRET.encode()).hex


def body(number: int, chance: random.Random) -> bytes:
    """Request `number`: its probe, and touchpoints of customers on their way."""
    at = now()
    items = [
        {
            "event_id": f"probe-{number}",
            "channel": "probe",
            "name": "ad_clicked",
            "occurred_at": at,
            "identifiers": {"customer_id": f"probe-{number}"},
        }
    ]
    for item in range(BATCH - 1):
        customer = chance.randrange(CUSTOMERS)
        items.append(
            {
                "event_id": f"event-{number}-{item}",
                "channel": "web",
                "name": chance.choice(NAMES),
                "occurred_at": at,
                "identifiers": {"customer_id": f"customer-{customer}", "anonymous_id": f"device-{customer}"},
            }
        )
    return json.dumps(items).encode()


class Probes:
    """When each probe was answered and seen."""

    def __init__(self, first: int) -> None:
        self._first = first  # number of the first request
        self._chance = random.Random(first)
        self.answered: dict[str, float] = {}
        self.latencies: list[float] = []
        self.queries = 0
        self.sending = True

    async def send(self, port: int, rate: float, seconds: float) -> None:
        """Send requests on time, whatever the answers take."""

        def answered(number: int) -> None:
            self.answered[probe_person(self._first + number)] = time.monotonic()

        count = int(rate * seconds / BATCH)
        await send_on_time(port, count, rate / BATCH, lambda n: body(self._first + n, self._chance), answered)
        self.sending = False

    async def watch(self, server: ClickHouseServer) -> None:
        """Look for probes until all are seen."""
        seen: set[str] = set()
        give_up = float("inf")
        while self.sending or self.answered.keys() - seen:
            if not self.sending:
                give_up = min(give_up, time.monotonic() + PATIENCE)
            if time.monotonic() > give_up:
                raise SystemExit(f"{len(self.answered.keys() - seen)} probes were not seen in {PATIENCE:.0f} s")
            oldest = min((at for person, at in self.answered.items() if person not in seen), default=time.monotonic())
            since = int((time.time() - (time.monotonic() - oldest) - 2) * 1000)
            found = await asyncio.to_thread(server.query, SEEN.format(since=since))
            at = time.monotonic()
            self.queries += 1
            for person in set(found.split()) - seen:
                if person in self.answered:
                    self.latencies.append(at - self.answered[person])
                    seen.add(person)
            await asyncio.sleep(QUERY_SECONDS)


async def run(line: HttpLine, rate: float, seconds: float, first: int) -> Probes:
    probes = Probes(first)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(probes.watch(line.server))
        tasks.create_task(probes.send(line.port, rate, seconds))
    return probes


def measure(arguments: argparse.Namespace, line: HttpLine) -> dict[str, object]:
    asyncio.run(run(line, arguments.rate, 3, first=WARM_UP))
    before = line.cpu_seconds()
    began = time.monotonic()
    probes = asyncio.run(run(line, arguments.rate, arguments.seconds, first=0))
    wall = time.monotonic() - began
    latencies = sorted(probes.latencies)
    return {
        "partitions": arguments.partitions,
        "touchpoints_per_second": arguments.rate,
        "samples": len(latencies),
        "seconds_p50": round(latencies[len(latencies) // 2], 3),
        "seconds_p99": round(latencies[len(latencies) * 99 // 100], 3),
        "seconds_max": round(latencies[-1], 3),
        "seconds_between_queries": round(wall / probes.queries, 3),
        "cores_used": {name: round((used - before[name]) / wall, 2) for name, used in line.cpu_seconds().items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark of the latency from HTTP to ClickHouse.")
    parser.add_argument("--rate", type=float, default=2000.0, help="touchpoints per second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--partitions", type=int, default=4)
    arguments = parser.parse_args()
    on = common.machine()
    with running(arguments.partitions) as line:
        common.publish("latency", on, measure(arguments, line))


if __name__ == "__main__":
    main()
