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
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

from benchmarks import common
from deploy.local.clickhouse import ClickHouseServer
from deploy.local.ports import LOOPBACK, free_port
from schemas.identity import person_id

KEY = "benchmark-key"
SECRET = "benchmark"
BATCH = 20
CUSTOMERS = 20_000
CONNECTIONS = 8
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


def body(number: int, chance: random.Random, at: str) -> bytes:
    """Request `number`: its probe, and touchpoints of customers on their way."""
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
        self.answered: dict[str, float] = {}
        self.latencies: list[float] = []
        self.queries = 0
        self.sending = True

    async def send(self, port: int, rate: float, seconds: float) -> None:
        """Send requests on time, whatever the answers take."""
        requests: asyncio.Queue[int] = asyncio.Queue()
        clients = [asyncio.create_task(self._client(port, requests)) for _ in range(CONNECTIONS)]
        began, count, most = time.monotonic(), 0, int(rate * seconds / BATCH)
        while count < most:
            while count < min(most, int((time.monotonic() - began) * rate / BATCH) + 1):
                requests.put_nowait(self._first + count)
                count += 1
            await asyncio.sleep(0.005)
        await requests.join()
        for client in clients:
            client.cancel()
        self.sending = False

    async def _client(self, port: int, requests: asyncio.Queue[int]) -> None:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        chance = random.Random(id(writer))
        while True:
            number = await requests.get()
            at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{int(time.time() * 1000) % 1000:03d}Z"
            content = body(number, chance, at)
            writer.write(
                b"POST /v1/touchpoints HTTP/1.1\r\nHost: c\r\nAuthorization: Bearer %b\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (KEY.encode(), len(content), content)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            answer = await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
            if not head.startswith(b"HTTP/1.1 200") or b'"rejected":[]' not in answer:
                raise SystemExit(f"the collector answered {head!r} {answer[:300]!r}")
            self.answered[probe_person(number)] = time.monotonic()
            requests.task_done()

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
            now = time.monotonic()
            self.queries += 1
            for person in set(found.split()) - seen:
                if person in self.answered:
                    self.latencies.append(now - self.answered[person])
                    seen.add(person)
            await asyncio.sleep(QUERY_SECONDS)


async def run(port: int, server: ClickHouseServer, rate: float, seconds: float, first: int) -> Probes:
    probes = Probes(first)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(probes.watch(server))
        tasks.create_task(probes.send(port, rate, seconds))
    return probes


def is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://{LOOPBACK}:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def measure(arguments: argparse.Namespace, stack: ExitStack) -> dict[str, object]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="desireline-benchmark-")))
    kafka, broker = stack.enter_context(common.kafka(folder))
    server, clickhouse = stack.enter_context(common.clickhouse(folder))
    common.create_all_topics(kafka, arguments.partitions)
    port = free_port()
    environment = {
        "KAFKA_BOOTSTRAP": kafka.bootstrap,
        "CLICKHOUSE_URL": server.url,
        "CLICKHOUSE_NATIVE_PORT": str(server.native_port),
        "DESIRELINE_SECRET": SECRET,
        "DESIRELINE_COLLECTOR_PORT": str(port),
        "DESIRELINE_WRITE_KEYS": f"benchmark={KEY}",
    }
    worker = stack.enter_context(common.process("worker", ["processors.app"], folder, environment))
    sink = stack.enter_context(common.process("sink", ["sinks.app"], folder, environment))
    collector = stack.enter_context(common.process("collector", ["ingest.collector"], folder, environment))
    worker.wait_until(lambda: common.times_said(worker, "partition opened") >= 2 * arguments.partitions, 60)
    collector.wait_until(lambda: is_ready(port), 30)
    processes = {"collector": collector, "worker": worker, "sink": sink, "kafka": broker, "clickhouse": clickhouse}
    asyncio.run(run(port, server, arguments.rate, 3, first=WARM_UP))
    before = {name: common.cpu_seconds(child.pid) for name, child in processes.items()}
    began = time.monotonic()
    probes = asyncio.run(run(port, server, arguments.rate, arguments.seconds, first=0))
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
        "cores_used": {
            name: round((common.cpu_seconds(child.pid) - before[name]) / wall, 2) for name, child in processes.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark of the latency from HTTP to ClickHouse.")
    parser.add_argument("--rate", type=float, default=2000.0, help="touchpoints per second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--partitions", type=int, default=4)
    arguments = parser.parse_args()
    on = common.machine()
    with ExitStack() as stack:
        common.publish("latency", on, measure(arguments, stack))


if __name__ == "__main__":
    main()
