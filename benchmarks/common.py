"""What the benchmarks share: servers of their own, processes and what they cost, and the result as JSON.

CPU is user and system time of all threads of a process; "per core" is per second of it.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from deploy.local.child import Child
from deploy.local.clickhouse import ClickHouseServer
from deploy.local.kafka import KafkaServer
from deploy.local.ports import free_port
from runtime.kafka import TopicSpec, create_topics
from runtime.settings import ClickHouseSettings, KafkaSettings
from schemas.topics import TOPICS
from sinks.migrate import migrate

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, object]:
    """What a figure was measured on. `load` is the number of running processes just before (1 minute): 0 is quiet;
    a niceness below 0 means that it was measured ahead of them."""
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu_name(),
        "memory_gigabytes": round(psutil.virtual_memory().total / 1e9),
        "system": platform.system(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def publish(name: str, on: Mapping[str, object], result: Mapping[str, Any]) -> None:
    """Print a benchmark's result and keep it in `results/NAME.json`. `on` is the machine as it was before."""
    whole = {
        "benchmark": name,
        "command": " ".join([f"python -m benchmarks.{name}", *sys.argv[1:]]),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": on,
        **result,
    }
    text = json.dumps(whole, indent=2)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text + "\n")
    print(text)


def cpu_seconds(pid: int) -> float:
    """What a process has used since it started."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def resident_megabytes(pid: int) -> int:
    return round(psutil.Process(pid).memory_info().rss / 1e6)


def wait_until(done: Callable[[], bool], seconds: float, what: str, pause: float = 0.05) -> None:
    """Return once `done()`; SystemExit after so many seconds."""
    give_up = time.monotonic() + seconds
    while not done():
        if time.monotonic() > give_up:
            raise SystemExit(f"{what}: not after {seconds:.0f} s")
        time.sleep(pause)


@contextmanager
def kafka(folder: Path) -> Iterator[tuple[KafkaSettings, Child]]:
    """A broker of its own, empty, without topics; killed at the end."""
    port = free_port()
    server = KafkaServer(folder / "kafka", port, free_port({port}))
    child = Child("kafka", server.argv(), folder / "kafka.log")
    try:
        child.start()
        child.wait_until(server.ready, 120)
        yield KafkaSettings(bootstrap=server.bootstrap), child
    finally:
        child.kill()


@contextmanager
def clickhouse(folder: Path) -> Iterator[tuple[ClickHouseServer, Child]]:
    """A ClickHouse server of its own with our tables, empty; killed at the end."""
    port = free_port()
    server = ClickHouseServer(folder / "clickhouse", port, free_port({port}))
    server.write_configuration()
    child = Child("clickhouse", server.argv(), folder / "clickhouse.log")
    try:
        child.start()
        child.wait_until(server.ready, 60)
        migrate(ClickHouseSettings(url=server.url, native_port=server.native_port))
        yield server, child
    finally:
        child.kill()


def create_all_topics(kafka: KafkaSettings, partitions: int) -> None:
    create_topics(kafka, [TopicSpec(topic.name, partitions, topic.config) for topic in TOPICS])


@contextmanager
def process(name: str, module: list[str], folder: Path, environment: Mapping[str, str]) -> Iterator[Child]:
    """`python -m MODULE …` with this environment added; stopped at the end."""
    child = Child(name, [sys.executable, "-m", *module], folder / f"{name}.log", environment)
    try:
        child.start()
        yield child
    finally:
        child.stop()


def times_said(child: Child, text: str) -> int:
    """How often it has logged this text, over all its starts."""
    return child.log.read_text(errors="replace").count(text)
