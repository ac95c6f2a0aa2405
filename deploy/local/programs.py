"""The table of what the stack runs, in the order of starting; it stops in the reverse order.

Each program is a command. Its configuration comes by environment, like anywhere else in production.
"""

from __future__ import annotations

import http.client
import sys
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version

from deploy.local import jars
from deploy.local.plan import PARTITIONS, Plan
from deploy.local.ports import LOOPBACK


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
    python = sys.executable
    topics = [python, "-m", "cli", "topics", "create", "--partitions", str(PARTITIONS)]
    return [
        Program("topics", topics, needs=("kafka",), task=True),
        Program("migrations", [python, "-m", "sinks.migrate"], needs=("clickhouse",), task=True),
    ]


def _processes(plan: Plan) -> list[Program]:
    at = plan.ports
    ours = version("desireline")

    def behind_metrics(name: str, module: str, needs: tuple[str, ...]) -> Program:
        port = at[f"{name}_metrics"]
        return Program(
            name,
            [sys.executable, "-m", module],
            needs=needs,
            ready=lambda: _answers(port, "/readyz"),
            environment={"DESIRELINE_METRICS_PORT": str(port)},
            port=port,
            version=ours,
        )

    return [
        behind_metrics("sink", "sinks.app", ("topics", "migrations")),
        behind_metrics("worker", "processors.app", ("topics",)),
        behind_metrics("alerts", "alerts.app", ("topics", "migrations")),
        Program(
            "collector",
            [sys.executable, "-m", "ingest.collector"],
            needs=("topics",),
            ready=lambda: _answers(at["collector"], "/readyz"),
            environment={"DESIRELINE_COLLECTOR_PORT": str(at["collector"])},
            port=at["collector"],
            version=ours,
        ),
        Program(
            "dashboard",
            [sys.executable, "-m", "dashboard.app"],
            needs=("migrations",),
            ready=lambda: _answers(at["dashboard"], "/readyz"),
            environment={"DESIRELINE_DASHBOARD_PORT": str(at["dashboard"])},
            port=at["dashboard"],
            version=ours,
        ),
    ]


def _answers(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}{path}", timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, http.client.HTTPException):  # refused, reset, 503, or not speaking HTTP yet
        return False
