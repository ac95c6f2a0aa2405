"""The table of what the stack runs, in the order of starting; it stops in the reverse order.

Each program is a command. Its configuration comes by environment, like anywhere else in production.
"""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version

from deploy.local import jars
from deploy.local.plan import PARTITIONS, Plan
from deploy.local.ports import LOOPBACK, is_free


def _at_once() -> bool:
    return True


@dataclass(frozen=True)
class Program:
    """One process of the stack.

    It starts when all of `needs` are settled, and is running once `ready()`. A `task` is to end with exit code 0 instead;
    it runs once per start of the stack. Times in seconds: how long it may take to be ready and to stop.
    """

    name: str
    argv: list[str]
    needs: tuple[str, ...] = ()
    ready: Callable[[], bool] = _at_once
    task: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    version: str = ""
    start_seconds: float = 60
    stop_seconds: float = 15


def programs(plan: Plan) -> list[Program]:
    """What this plan runs, without the servers that the user has."""
    table = [*_servers(plan)]
    if plan.only == "everything":
        table += [*_tasks(), *_processes(plan)]
    return table


def _servers(plan: Plan) -> list[Program]:
    table = []
    if plan.kafka:
        table.append(
            Program(
                "kafka",
                plan.kafka.argv(),
                ready=plan.kafka.ready,
                port=plan.kafka.port,
                version=jars.KAFKA_VERSION,
                start_seconds=180,
                stop_seconds=30,
            )
        )
    if plan.clickhouse:
        table.append(
            Program(
                "clickhouse",
                plan.clickhouse.argv(),
                ready=plan.clickhouse.ready,
                port=plan.clickhouse.http_port,
                version=version("chdb-core"),
                stop_seconds=30,
            )
        )
    return table


def _tasks() -> list[Program]:
    prepare = [sys.executable, "-m", "deploy.prepare"]
    return [
        Program("topics", [*prepare, "topics", "--partitions", str(PARTITIONS)], needs=("kafka",), task=True),
        Program("migrations", [*prepare, "migrations"], needs=("clickhouse",), task=True),
    ]


def _processes(plan: Plan) -> list[Program]:
    def process(name: str, module: str, needs: tuple[str, ...], port: int, **more: str) -> Program:
        metrics = plan.ports[f"{name}_metrics"]
        return Program(
            name,
            [sys.executable, "-m", module],
            needs=needs,
            ready=lambda: _answers(f"http://{LOOPBACK}:{metrics}/metrics") and not is_free(port),
            environment={"DESIRELINE_METRICS_PORT": str(metrics), **more},
            port=port,
            version=version("desireline"),
        )

    at = plan.ports
    return [
        process("sink", "sinks.app", ("topics", "migrations"), at["sink_metrics"]),
        process("worker", "processors.app", ("topics",), at["worker_metrics"]),
        process("collector", "ingest.collector", ("topics",), at["collector"], COLLECTOR_PORT=str(at["collector"])),
    ]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
