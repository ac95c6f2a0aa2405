"""The local stack as its user meets it: `desireline up`, `status`, `down`, and what happens when something is killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from runtime.kafka import TopicSpec, create_topics
from runtime.settings import KafkaSettings
from tests.conftest import ClickHouse, Kafka

pytestmark = pytest.mark.integration

DESIRELINE = Path(sys.executable).with_name("desireline")


class Stack:
    """A home, and the `desireline` command in it. Everything that ever ran there is ended by pid at the end."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.seen: set[int] = set()
        without = ("KAFKA_BOOTSTRAP", "CLICKHOUSE_URL", "CLICKHOUSE_NATIVE_PORT")
        kept = {name: value for name, value in os.environ.items() if name not in without}
        self.environment = kept | {"DESIRELINE_HOME": str(home)}

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [DESIRELINE, *arguments],
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=150,
        )
        self.pids()
        return done

    def state(self) -> dict[str, Any]:
        file = self.home / "stack.json"
        return dict(json.loads(file.read_text())) if file.exists() else {"processes": [], "supervisor": None}

    def pids(self) -> dict[str, int]:
        """Of the supervisor and of every process that runs, by name."""
        state = self.state()
        found = {p["name"]: p["identity"]["pid"] for p in state["processes"] if p["identity"]}
        if state["supervisor"]:
            found["supervisor"] = state["supervisor"]["pid"]
        self.seen.update(found.values())
        return found

    def running(self) -> bool:
        return all(process["status"] == "running" for process in self.state()["processes"])

    def ask(self, sql: str) -> str:
        port = self.state()["ports"]["clickhouse_http"]
        with urlopen(Request(f"http://127.0.0.1:{port}/?database=desireline", data=sql.encode()), timeout=20) as answer:
            return str(answer.read().decode()).strip()

    def kafka(self) -> KafkaSettings:
        return KafkaSettings(bootstrap=self.state()["environment"]["KAFKA_BOOTSTRAP"])

    def end(self) -> None:
        self.run("down")
        for pid in self.seen:
            if psutil.pid_exists(pid):
                psutil.Process(pid).kill()


def eventually(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not after {seconds} s: {what}"
        time.sleep(0.05)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[Stack]:
    """A home in which nothing was started yet."""
    stack = Stack(tmp_path / "home")
    yield stack
    stack.end()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Kafka and ClickHouse, started with `up`; each test leaves them running."""
    stack = Stack(tmp_path_factory.mktemp("stack"))
    try:
        done = stack.run("up", "--only", "servers")
        assert done.returncode == 0, done.stdout + done.stderr
        yield stack
    finally:
        stack.end()


async def _append(kafka: KafkaSettings, values: list[bytes]) -> None:
    producer = AIOKafkaProducer(**kafka.client(), acks="all", enable_idempotence=True)
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait("durable", value)
    finally:
        await producer.stop()


async def _read(kafka: KafkaSettings, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(**kafka.client())
    await consumer.start()
    try:
        partition = TopicPartition("durable", 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        return [(await asyncio.wait_for(consumer.getone(), 20)).value for _ in range(count)]
    finally:
        await consumer.stop()


def test_status_shows_what_runs(servers: Stack) -> None:
    done = servers.run("status")
    assert done.returncode == 0, done.stdout + done.stderr
    for name, pid in servers.pids().items():
        assert (str(pid) in done.stdout) == (name != "supervisor")
    assert set(servers.pids()) == {"kafka", "clickhouse", "supervisor"}


def test_a_shell_learns_the_addresses(servers: Stack) -> None:
    exported = servers.run("status", "--env").stdout
    shown = subprocess.run(
        ["sh", "-c", f'{exported}\necho "$KAFKA_BOOTSTRAP $CLICKHOUSE_URL"'], capture_output=True, text=True
    )
    environment = servers.state()["environment"]
    assert shown.stdout == f"{environment['KAFKA_BOOTSTRAP']} {environment['CLICKHOUSE_URL']}\n"


def test_a_second_start_in_the_same_home_is_refused(servers: Stack) -> None:
    before = servers.pids()
    done = servers.run("up", "--only", "servers")
    assert done.returncode == 1
    assert f"a stack is running already (pid {before['supervisor']}, home {servers.home})" in done.stderr
    assert "Traceback" not in done.stderr
    assert servers.pids() == before


def test_logs_are_shown(servers: Stack) -> None:
    assert "SYSTEM START LISTEN HTTP" in servers.run("logs", "clickhouse").stdout
    assert "kafka      | " in servers.run("logs").stdout
    unknown = servers.run("logs", "nobody")
    assert (unknown.returncode, "there are: clickhouse, kafka, supervisor" in unknown.stderr) == (1, True)


def test_killed_servers_come_back_with_everything_that_was_acknowledged(servers: Stack) -> None:
    values = [str(number).encode() for number in range(30)]
    create_topics(servers.kafka(), [TopicSpec("durable", 1)])
    asyncio.run(_append(servers.kafka(), values))
    servers.ask("CREATE TABLE durable (number UInt32) ENGINE = MergeTree ORDER BY number")
    servers.ask("INSERT INTO durable SETTINGS async_insert = 0 SELECT number FROM numbers(1000)")
    killed = {name: pid for name, pid in servers.pids().items() if name != "supervisor"}
    for pid in killed.values():
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not servers.running(), "the supervisor notices")
    assert servers.run("status").returncode == 1
    eventually(servers.running, "both run again")
    after = servers.pids()
    assert {name for name, pid in killed.items() if after[name] == pid} == set()
    assert [process["restarts"] for process in servers.state()["processes"]] == [1, 1]
    assert asyncio.run(_read(servers.kafka(), len(values))) == values
    assert servers.ask("SELECT count(), sum(number) FROM durable") == "1000\t499500"


def test_a_killed_supervisor_leaves_nothing_that_the_next_start_does_not_find(servers: Stack) -> None:
    before, ports = servers.pids(), servers.state()["ports"]
    servers.ask("CREATE TABLE kept (number UInt32) ENGINE = MergeTree ORDER BY number")
    os.kill(before["supervisor"], signal.SIGKILL)
    eventually(lambda: gone(before["supervisor"]), "it is gone", 10)
    assert servers.run("status").returncode == 1
    done = servers.run("up", "--only", "servers")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(gone(pid) for pid in before.values())
    assert servers.state()["ports"] == ports
    assert servers.ask("SELECT count() FROM kept") == "0"


def test_down_ends_every_process_and_keeps_the_data(servers: Stack) -> None:
    servers.ask("CREATE TABLE stays (number UInt32) ENGINE = MergeTree ORDER BY number")
    before = servers.pids()
    assert servers.run("down").returncode == 0
    assert {name for name, pid in before.items() if not gone(pid)} == set()
    status = servers.run("status")
    assert (status.returncode, "start it with `desireline up`" in status.stderr) == (1, True)
    again = servers.run("down")
    assert (again.returncode, again.stdout.startswith("nothing runs")) == (0, True)
    assert servers.run("up", "--only", "servers").returncode == 0
    assert servers.ask("SELECT count() FROM stays") == "0"


def test_in_the_foreground_sigterm_stops_everything(idle: Stack) -> None:
    process = subprocess.Popen(
        [DESIRELINE, "up", "--only", "servers", "--foreground"], env=idle.environment, stdout=subprocess.DEVNULL
    )
    try:
        eventually(lambda: len(idle.state()["processes"]) == 2 and idle.running(), "the servers run")
        started = idle.pids()
        assert started["supervisor"] == process.pid
        process.terminate()
        assert process.wait(30) == 0
        assert {name for name, pid in started.items() if not gone(pid)} == set()
    finally:
        process.kill()
        process.wait()


def test_a_taken_port_is_refused_with_the_name_of_who_has_it(idle: Stack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = idle.run("up", "--only", "servers", "--kafka-port", str(port))
    assert done.returncode == 1
    assert f"port {port} for kafka is taken by " in done.stderr
    assert f"(pid {os.getpid()})" in done.stderr
    assert idle.pids() == {}


def test_servers_that_the_environment_names_are_used_and_not_started(
    idle: Stack, kafka: Kafka, clickhouse: ClickHouse
) -> None:
    own = {"KAFKA_BOOTSTRAP": kafka.bootstrap, "CLICKHOUSE_URL": clickhouse.url}
    done = idle.run("up", "--only", "servers", **own)
    assert done.returncode == 0, done.stderr
    assert set(idle.pids()) == {"supervisor"}
    assert own.items() <= idle.state()["environment"].items()


@pytest.mark.parametrize(
    "own", [{"KAFKA_BOOTSTRAP": "127.0.0.1:1"}, {"CLICKHOUSE_URL": "http://127.0.0.1:1/"}, {"KAFKA_BOOTSTRAP": "here"}]
)
def test_servers_that_do_not_answer_are_refused(idle: Stack, own: dict[str, str]) -> None:
    done = idle.run("up", "--only", "servers", **own)
    assert done.returncode == 1
    assert next(iter(own)) in done.stderr
    assert "Traceback" not in done.stderr
    assert idle.pids() == {}


def test_without_the_network_the_missing_jars_are_named(idle: Stack) -> None:
    elsewhere = {"M2_REPO": str(idle.home / "m2"), "HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": ""}
    done = idle.run("up", "--only", "servers", **elsewhere)
    assert done.returncode == 1
    assert "could not be downloaded from Maven Central" in done.stderr
    assert "set KAFKA_BOOTSTRAP" in done.stderr
    assert idle.pids() == {}


def test_the_whole_stack_takes_a_touchpoint_to_its_journey_and_outlives_every_kill(idle: Stack) -> None:
    done = idle.run("up")
    assert done.returncode == 0, done.stdout + done.stderr
    assert idle.run("status").returncode == 0
    doctor = idle.run("doctor")
    assert (doctor.returncode, "problem" in doctor.stdout) == (0, False), doctor.stdout
    _send(idle, "before", "cart_viewed")
    eventually(lambda: idle.ask("SELECT count() FROM journeys FINAL") == "1", "the journey is in ClickHouse")

    killed = {name: pid for name, pid in idle.pids().items() if name != "supervisor"}
    assert set(killed) == {"kafka", "clickhouse", "sink", "worker", "collector", "alerts", "dashboard"}
    for pid in killed.values():
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: killed.items().isdisjoint(idle.pids().items()), "the supervisor notices")
    eventually(lambda: len(idle.pids()) == 8 and idle.run("status").returncode == 0, "all run again")
    _send(idle, "after", "paid")
    eventually(lambda: idle.ask("SELECT uniqExact(event_id) FROM touchpoints") == "2", "both are stored")
    eventually(lambda: idle.ask("SELECT status FROM journeys FINAL") == "completed", "one journey, at its goal")


def _send(stack: Stack, event_id: str, name: str) -> None:
    """Give one touchpoint of one visitor to the collector; it must be acknowledged."""
    state = stack.state()
    key = state["environment"]["DESIRELINE_WRITE_KEYS"].split(",")[0].partition("=")[2]
    touchpoint = {
        "event_id": event_id,
        "occurred_at": datetime.now(UTC).isoformat(),
        "channel": "web",
        "name": name,
        "identifiers": {"anonymous_id": "visitor-1"},
    }
    request = Request(
        f"http://127.0.0.1:{state['ports']['collector']}/v1/touchpoints",
        data=json.dumps(touchpoint).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urlopen(request, timeout=20) as answer:
        assert json.load(answer) == {"accepted": 1, "rejected": []}
