"""How long a lookup takes, at 200 a second, while 2,000 touchpoints arrive each second.

    python -m benchmarks.lookup [--rate 200] [--touchpoints 2000] [--people 100000] [--seconds 60]

Before, ClickHouse is filled with people of ten touchpoints each. Half of the lookups are for one of them, half for a customer
who is on their way now, by customer id, by address or by device. The time counts from when a lookup was to be sent, whatever
the answers before took, to its whole answer, over HTTP on loopback. Every one of them must be found.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from typing import Any

from benchmarks import common
from benchmarks.http_line import SECRET, HttpLine, now, running, send_on_time
from runtime.settings import ClickHouseSettings
from schemas.definition import Rules, load_definitions
from schemas.identity import hasher
from sinks.reader import connect

BATCH = 20
CONNECTIONS = 64  # of those who look up; many, as they would be: what comes together is asked together
CUSTOMERS = 20_000
TOUCHPOINTS = 10
PEOPLE_AT_ONCE = 10_000
WARM_UP_SECONDS = 12.0
SETTLED = 1_000  # requests after which their customers are in ClickHouse for sure
NAMES = ("ad_clicked", "menu_viewed", "search", "product_viewed", "cart", "checkout", "ordered", "paid")

_FILL_PEOPLE = """
INSERT INTO person_touchpoints (person_id, event_id, occurred_at, sequence, channel, name, rules, arrived_at, score, version)
SELECT
    arrayElement({people:Array(UUID)}, intDiv(number, {each:UInt32}) + 1) AS person, generateUUIDv4(),
    now64(3) - INTERVAL (number * 7919) % 8640000 SECOND AS at, -1, 'web',
    arrayElement({names:Array(String)}, number % length({names:Array(String)}) + 1),
    arrayElement({rules:Array(Array(UInt8))}, number % length({names:Array(String)}) + 1), at, -1, 1
FROM numbers(length({people:Array(UUID)}) * {each:UInt32})
"""


def fill(settings: ClickHouseSettings, people: int) -> None:
    """People that were there before, `customer_id:stored-N`, as the sink would have written them."""
    hashed, rules = hasher(SECRET.encode()), Rules(load_definitions())
    numbers = [rules.of("web", name, {}) for name in NAMES]
    with connect(settings, server_side_params=True, max_query_size=1 << 24) as client:
        for first in range(0, people, PEOPLE_AT_ONCE):
            names = [f"customer_id:stored-{n}" for n in range(first, min(people, first + PEOPLE_AT_ONCE))]
            ids = [hashed(name).hex() for name in names]
            ids = [f"{i[:8]}-{i[8:12]}-{i[12:16]}-{i[16:20]}-{i[20:]}" for i in ids]
            client.execute(
                "INSERT INTO identities (identifier, person_id, own_id, at, shared, version) VALUES",
                [(name, own, own, 0, False, 1) for name, own in zip(names, ids, strict=True)],
            )
            given = {"people": ids, "each": TOUCHPOINTS, "names": list(NAMES), "rules": numbers}
            client.execute(_FILL_PEOPLE, given)
        for table in ("identities", "person_touchpoints"):  # what was there before was merged long ago
            client.execute(f"OPTIMIZE TABLE {table} FINAL")


class Load:
    """Touchpoints of customers on their way, and lookups."""

    def __init__(self, people: int) -> None:
        self._chance = random.Random(1)
        self.round = 0
        self._people = people
        self._known: list[int] = []  # customers whose touchpoints were acknowledged a while ago
        self._sent: dict[int, list[int]] = {}
        self._due: dict[int, float] = {}
        self.seconds: list[float] = []

    # --- touchpoints -------------------------------------------------------------------------------------------------

    def touchpoints(self, number: int) -> bytes:
        at, chance = now(), self._chance
        customers = [chance.randrange(CUSTOMERS) for _ in range(BATCH)]
        self._sent[number] = customers
        return json.dumps(
            [
                {
                    "event_id": f"event-{self.round}-{number}-{item}",
                    "channel": "web",
                    "name": chance.choice(NAMES),
                    "occurred_at": at,
                    "identifiers": _identifiers(customer),
                }
                for item, customer in enumerate(customers)
            ]
        ).encode()

    def acknowledged(self, number: int) -> None:
        self._known += self._sent.pop(number)[:1]

    # --- lookups -----------------------------------------------------------------------------------------------------

    def lookup(self, number: int) -> bytes:
        chance = self._chance
        settled = len(self._known) - SETTLED
        if number % 2 or settled < 1:
            identifier = f"customer_id:stored-{chance.randrange(self._people)}"
        else:
            kind, value = chance.choice(list(_identifiers(self._known[chance.randrange(settled)]).items()))
            identifier = f"{kind}:{value}"
        return json.dumps({"identifier": identifier}).encode()

    def due(self, number: int, at: float) -> None:
        self._due[number] = at

    def answered(self, number: int) -> None:
        self.seconds.append(time.monotonic() - self._due.pop(number))


def _identifiers(customer: int) -> dict[str, str]:
    return {
        "customer_id": f"customer-{customer}",
        "email": f"customer-{customer}@example.org",
        "anonymous_id": f"device-{customer}",
    }


async def run(line: HttpLine, load: Load, arguments: argparse.Namespace, seconds: float) -> None:
    requests = arguments.touchpoints / BATCH
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(
            send_on_time(line.port, int(requests * seconds), requests, load.touchpoints, load.acknowledged)
        )
        tasks.create_task(
            send_on_time(
                line.dashboard_port,
                int(arguments.rate * seconds),
                arguments.rate,
                load.lookup,
                load.answered,
                "/v1/people/lookup",
                load.due,
                CONNECTIONS,
            )
        )


def measure(arguments: argparse.Namespace, line: HttpLine) -> dict[str, Any]:
    settings = ClickHouseSettings(url=line.server.url, native_port=line.server.native_port)
    fill(settings, arguments.people)
    load = Load(arguments.people)
    asyncio.run(run(line, load, arguments, WARM_UP_SECONDS))
    load.seconds.clear()
    load.round += 1
    before, began = line.cpu_seconds(), time.monotonic()
    asyncio.run(run(line, load, arguments, arguments.seconds))
    wall = time.monotonic() - began
    seconds = sorted(load.seconds)
    with connect(settings) as client:
        parts = client.execute("SELECT count() FROM system.parts WHERE active AND table = 'person_touchpoints'")[0][0]
    return {
        "partitions": arguments.partitions,
        "lookups_per_second": arguments.rate,
        "touchpoints_per_second": arguments.touchpoints,
        "people_before": arguments.people,
        "samples": len(seconds),
        **{
            f"milliseconds_p{share:g}": round(seconds[int(len(seconds) * share / 100)] * 1000, 1)
            for share in (50, 90, 99, 99.9)
        },
        "milliseconds_max": round(seconds[-1] * 1000, 1),
        "parts_of_person_touchpoints": parts,
        "cores_used": {name: round((used - before[name]) / wall, 2) for name, used in line.cpu_seconds().items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark of lookups beside touchpoints.")
    parser.add_argument("--rate", type=float, default=200.0, help="lookups per second")
    parser.add_argument("--touchpoints", type=float, default=2000.0, help="touchpoints per second")
    parser.add_argument("--people", type=int, default=100_000, help="people that are stored before")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--partitions", type=int, default=4)
    arguments = parser.parse_args()
    on = common.machine()
    with running(arguments.partitions) as line:
        common.publish("lookup", on, measure(arguments, line))


if __name__ == "__main__":
    main()
