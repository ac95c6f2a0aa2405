"""How many touchpoints per second of its own CPU time the collector validates, writes and has acknowledged.

    python -m benchmarks.collector [--kafka HOST:PORT] [--seconds 10] [--batch 20] [--connections 16]

starts a collector (and, without --kafka, a broker) and sends it batches from this process over plain sockets, so that the
load generator costs little beside it. Prints one JSON object. A core is one second of CPU time, user and system.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.request import urlopen

import psutil

from benchmarks.common import machine, publish
from deploy.local.child import Child
from deploy.local.kafka import KafkaServer
from deploy.local.ports import LOOPBACK, free_port
from runtime.kafka import TopicSpec, create_topics
from runtime.settings import KafkaSettings
from schemas.topics import COMMANDS, DEAD_LETTERS, TOUCHPOINTS

KEY = "benchmark-key"
BODIES = 200  # prepared before the clock starts, and sent round robin


def body(batch: int, number: int) -> bytes:
    """A batch as a web shop's browser or server sends it: about 420 bytes a touchpoint."""
    return json.dumps(
        [
            {
                "event_id": f"event-{number:06d}-{item:03d}-{number * batch + item:012d}",
                "channel": "web",
                "name": "product_viewed",
                "occurred_at": "2026-03-01T12:00:00.123Z",
                "identifiers": {
                    "customer_id": f"customer-{(number * batch + item) * 7919 % 100_003:06d}",
                    "anonymous_id": f"a0b1c2d3-0000-1111-2222-{(number * batch + item) * 104_729 % 1_000_003:012d}",
                },
                "context": {"page": f"https://shop.example/product/{item}", "device": "mobile", "locale": "es-MX"},
                "value": {"amount": 1290 + item, "currency": "MXN"},
                "properties": {"category": "tacos", "position": item, "experiment": "b"},
            }
            for item in range(batch)
        ],
        separators=(",", ":"),
    ).encode()


async def client(port: int, requests: list[bytes], until: float, latencies: list[float]) -> int:
    """Send one request after the other on one connection; how many were answered 200."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    answered = 0
    while time.monotonic() < until:
        started = time.monotonic()
        writer.write(requests[answered % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        content = await reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200") or b'"rejected":[]' not in content:
            raise SystemExit(f"the collector answered {head!r} {content[:300]!r}")
        latencies.append(time.monotonic() - started)
        answered += 1
    writer.close()
    return answered


async def load(port: int, batch: int, connections: int, seconds: float) -> tuple[int, list[float]]:
    bodies = [body(batch, number) for number in range(BODIES)]
    requests = [
        b"POST /v1/touchpoints HTTP/1.1\r\nHost: c\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (KEY.encode(), len(content), content)
        for content in bodies
    ]
    latencies: list[float] = []
    until = time.monotonic() + seconds
    step = max(1, BODIES // connections)
    answered = await asyncio.gather(
        *(client(port, requests[at * step :] + requests[: at * step], until, latencies) for at in range(connections))
    )
    return sum(answered), latencies


@contextmanager
def broker(given: str | None, folder: Path) -> Iterator[str]:
    if given:
        yield given
        return
    port = free_port()
    server = KafkaServer(folder / "data", port, free_port({port}))
    child = Child("kafka", server.argv(), folder / "kafka.log")
    try:
        child.start()
        child.wait_until(server.ready, 120)
        yield server.bootstrap
    finally:
        child.kill()


def is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://{LOOPBACK}:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def measure(arguments: argparse.Namespace, stack: ExitStack) -> dict[str, object]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="desireline-benchmark-")))
    bootstrap = stack.enter_context(broker(arguments.kafka, folder))
    topics = (TOUCHPOINTS, DEAD_LETTERS, COMMANDS)
    specs = [TopicSpec(topic.name, arguments.partitions, topic.config) for topic in topics]
    create_topics(KafkaSettings(bootstrap=bootstrap), specs)
    port = free_port()
    environment = {
        "KAFKA_BOOTSTRAP": bootstrap,
        "DESIRELINE_COLLECTOR_PORT": str(port),
        "DESIRELINE_WRITE_KEYS": f"benchmark={KEY}",
    }
    collector = Child("collector", [sys.executable, "-m", "ingest.collector"], folder / "collector.log", environment)
    stack.callback(collector.stop)
    collector.start()
    collector.wait_until(lambda: is_ready(port), 30)

    asyncio.run(load(port, arguments.batch, arguments.connections, min(2.0, arguments.seconds)))  # warm up
    process = psutil.Process(collector.pid)
    before, started = process.cpu_times(), time.monotonic()
    answered, latencies = asyncio.run(load(port, arguments.batch, arguments.connections, arguments.seconds))
    after, wall = process.cpu_times(), time.monotonic() - started
    cpu = after.user + after.system - before.user - before.system
    touchpoints = answered * arguments.batch
    latencies.sort()
    return {
        "partitions": arguments.partitions,
        "batch": arguments.batch,
        "connections": arguments.connections,
        "touchpoints": touchpoints,
        "seconds": round(wall, 2),
        "collector_cpu_seconds": round(cpu, 2),
        "touchpoints_per_second": round(touchpoints / wall),
        "touchpoints_per_second_per_core": round(touchpoints / cpu),
        "microseconds_per_touchpoint": round(cpu / touchpoints * 1e6, 1),
        "answer_milliseconds_p50": round(latencies[len(latencies) // 2] * 1000, 1),
        "answer_milliseconds_p99": round(latencies[len(latencies) * 99 // 100] * 1000, 1),
        "resident_megabytes": round(process.memory_info().rss / 1e6),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark of the collector.")
    parser.add_argument("--kafka", help="host:port of a broker that runs; without it, one is started")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--partitions", type=int, default=8)
    arguments = parser.parse_args()
    on = machine()
    with ExitStack() as stack:
        publish("collector", on, measure(arguments, stack))


if __name__ == "__main__":
    main()
