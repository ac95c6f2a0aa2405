"""Start a stack: everything that can be refused is refused here, in the user's own process, before anything runs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from deploy.local import instance, jars, java, logs, plan, state
from deploy.local.errors import StackError
from deploy.local.plan import Plan, Wishes
from deploy.local.settings import StackSettings
from deploy.local.state import StackState
from runtime.kafka import wait_for_broker
from runtime.settings import ClickHouseSettings, KafkaSettings

START_SECONDS = 300  # until every process must have settled; each has its own, shorter, time


def prepare(wishes: Wishes, settings: StackSettings, on_download: Callable[[int, int], None]) -> tuple[Plan, IO[str]]:
    """The plan, and the lock of its home. Raises `StackError` with what to do about it: a stack runs there already, a
    port is taken, the disk is full, no wheel for this platform, no jars, the user's own Kafka does not answer."""
    home = settings.home.resolve()
    held = instance.lock(home)
    instance.end_leftovers(home)
    made = plan.make(wishes, settings, state.load(home).ports)
    if made.kafka:
        java.executable()
        jars.classpath(on_download)
    else:
        _require_kafka(KafkaSettings())
    if not made.clickhouse:
        _require_clickhouse(ClickHouseSettings())
    elif find_spec("chdb") is None:
        raise StackError(
            "no ClickHouse for this platform (chdb-core is not installed): use `docker compose -f deploy/compose.yaml "
            "up`, or set CLICKHOUSE_URL to a server that you have"
        )
    return made, held


def _require_kafka(kafka: KafkaSettings) -> None:
    try:
        asyncio.run(wait_for_broker(kafka, seconds=5))
    except TimeoutError as error:
        raise StackError(
            f"KAFKA_BOOTSTRAP is set: {error}; correct it, or unset it to have one started here"
        ) from error


def _require_clickhouse(clickhouse: ClickHouseSettings) -> None:
    scheme = "https" if clickhouse.secure else "http"
    try:
        urllib.request.urlopen(f"{scheme}://{clickhouse.host}:{clickhouse.http_port}/ping", timeout=5).close()
    except OSError as error:
        raise StackError(
            f"CLICKHOUSE_URL is set, but nothing answers at {clickhouse.host}:{clickhouse.http_port} ({error}); correct "
            "it, or unset it to have one started here"
        ) from error


def detach(made: Plan, held: IO[str]) -> subprocess.Popen[bytes]:
    """Start the supervisor in the background; it inherits the lock, so no other start can slip in between."""
    log = logs.path(made.home, "supervisor")
    log.parent.mkdir(parents=True, exist_ok=True)
    logs.rotate(log)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.local.supervisor", str(held.fileno())],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(held.fileno(),),
            start_new_session=True,
        )
    assert process.stdin is not None
    process.stdin.write(made.model_dump_json().encode())
    process.stdin.close()
    held.close()
    return process


def wait_until_settled(
    home: Path, supervisor: subprocess.Popen[bytes], on_change: Callable[[StackState], None]
) -> StackState:
    """Follow the start; return when every process runs, raise `StackError` when one keeps failing."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        if supervisor.poll() is not None:
            raise StackError(f"the supervisor ended:\n{logs.tail(logs.path(home, 'supervisor'))}")
        current = state.load(home)
        if current.supervisor is not None:
            on_change(current)
            if current.settled:
                return current
            if current.failing:
                broken = "\n".join(f"{process.name} {process.problem}" for process in current.failing)
                raise StackError(f"{broken}\nIt is tried again, and the rest runs: `desireline down` stops all of it")
        if time.monotonic() > deadline:
            late = ", ".join(process.name for process in current.processes if not process.settled)
            raise StackError(f"not ready after {START_SECONDS} s: {late}")
        time.sleep(0.1)
