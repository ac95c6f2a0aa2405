"""The whole line as processes of its own, and requests that are sent to its collector on time, whatever the answers take."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from benchmarks import common
from deploy.local.child import Child
from deploy.local.clickhouse import ClickHouseServer
from deploy.local.ports import LOOPBACK, free_port
from runtime.settings import KafkaSettings

KEY = "benchmark-key"
SECRET = "benchmark"
CONNECTIONS = 8
TABLES = ("journeys", "person_touchpoints", "identities", "touchpoints")


@dataclass(frozen=True)
class HttpLine:
    """A running line: where touchpoints go in, what shows them, and all its processes by name."""

    kafka: KafkaSettings
    port: int
    dashboard_port: int
    server: ClickHouseServer
    processes: Mapping[str, Child]
    metrics_ports: Mapping[str, int]

    def waits(self) -> dict[str, dict[str, float]]:
        """What a touchpoint may wait for, since the start: transactions of each leg, and the sink's batches of each table."""
        worker, sink = (_metrics(self.metrics_ports[name]) for name in ("worker", "sink"))
        found = {leg: _mean(worker, "desireline_leg_commit_seconds", leg) for leg in ("identity", "stitch")}
        return found | {table: _mean(sink, "desireline_sink_batch_seconds", table) for table in TABLES}

    def cpu_seconds(self) -> dict[str, float]:
        return {name: common.cpu_seconds(child.pid) for name, child in self.processes.items()}


@contextmanager
def running(partitions: int, **settings: str) -> Iterator[HttpLine]:
    """Servers, collector, worker, sink and dashboard, ready; ended at the end. `settings` are added to their environment."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="desireline-benchmark-")))
        kafka, broker = stack.enter_context(common.kafka(folder))
        server, clickhouse = stack.enter_context(common.clickhouse(folder))
        common.create_all_topics(kafka, partitions)
        port = free_port()
        dashboard_port = free_port({port})
        environment = {
            "KAFKA_BOOTSTRAP": kafka.bootstrap,
            "CLICKHOUSE_URL": server.url,
            "CLICKHOUSE_NATIVE_PORT": str(server.native_port),
            "DESIRELINE_SECRET": SECRET,
            "DESIRELINE_COLLECTOR_PORT": str(port),
            "DESIRELINE_WRITE_KEYS": f"benchmark={KEY}",
            "DESIRELINE_DASHBOARD_PORT": str(dashboard_port),
            "DESIRELINE_READ_KEYS": f"benchmark={KEY}",
            "DESIRELINE_READ_RATE": "1000000",  # who falls behind asks at once for what is overdue: measure that
            **settings,
        }
        worker_metrics = free_port({port, dashboard_port})
        sink_metrics = free_port({port, dashboard_port, worker_metrics})
        metrics = {"worker": worker_metrics, "sink": sink_metrics}
        own = {name: environment | {"DESIRELINE_METRICS_PORT": str(at)} for name, at in metrics.items()}
        worker = stack.enter_context(common.process("worker", ["processors.app"], folder, own["worker"]))
        sink = stack.enter_context(common.process("sink", ["sinks.app"], folder, own["sink"]))
        collector = stack.enter_context(common.process("collector", ["ingest.collector"], folder, environment))
        dashboard = stack.enter_context(common.process("dashboard", ["dashboard.app"], folder, environment))
        worker.wait_until(lambda: common.times_said(worker, "partition opened") >= 2 * partitions, 60)
        collector.wait_until(lambda: _is_ready(port), 30)
        dashboard.wait_until(lambda: _is_ready(dashboard_port), 30)
        processes = {
            "collector": collector, "worker": worker, "sink": sink, "dashboard": dashboard, "kafka": broker,
            "clickhouse": clickhouse,
        }  # fmt: skip
        yield HttpLine(kafka, port, dashboard_port, server, processes, metrics)


def _metrics(port: int) -> dict[tuple[str, str], float]:
    """Name, and leg or table, of each → value."""
    with urlopen(f"http://{LOOPBACK}:{port}/metrics", timeout=5) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    samples = (one for family in families for one in family.samples)
    return {(one.name, one.labels.get("leg") or one.labels.get("table", "")): one.value for one in samples}


def _mean(metrics: Mapping[tuple[str, str], float], name: str, of: str) -> dict[str, float]:
    times = metrics[f"{name}_count", of]
    return {"times": times, "mean_seconds": round(metrics[f"{name}_sum", of] / max(times, 1), 3)}


def _is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://{LOOPBACK}:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def now() -> str:
    """The time as a client writes it."""
    return moment(time.time_ns() // 1_000_000)


def moment(at: int) -> str:
    """ms UTC as a client writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at // 1000)) + f".{at % 1000:03d}Z"


async def send_on_time(
    port: int,
    count: int,
    rate: float,
    body: Callable[[int], bytes],
    answered: Callable[[int], None],
    path: str = "/v1/touchpoints",
    due: Callable[[int, float], None] | None = None,
    connections: int = CONNECTIONS,
) -> None:
    """`count` requests, numbered from 0, `rate` a second. `body` is asked when one is sent, `answered` told of its 200, `due`
    when it was to be sent (monotonic). With all connections waiting for answers a request waits for one of them.

    SystemExit when anything is refused."""
    requests: asyncio.Queue[int] = asyncio.Queue()

    async def client() -> None:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        while True:
            number = await requests.get()
            content = body(number)
            writer.write(
                b"POST %b HTTP/1.1\r\nHost: c\r\nAuthorization: Bearer %b\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (path.encode(), KEY.encode(), len(content), content)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            answer = await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
            if not head.startswith(b"HTTP/1.1 200") or b'"rejected":[{' in answer:
                raise SystemExit(f"{path} answered {head!r} {answer[:300]!r}")
            answered(number)
            requests.task_done()

    clients = [asyncio.create_task(client()) for _ in range(connections)]
    began, sent = time.monotonic(), 0
    while sent < count:
        while sent < min(count, int((time.monotonic() - began) * rate) + 1):
            if due is not None:
                due(sent, began + sent / rate)
            requests.put_nowait(sent)
            sent += 1
        await asyncio.sleep(0.002)
        for one in clients:
            if one.done():
                one.result()
    await requests.join()
    for one in clients:
        one.cancel()
