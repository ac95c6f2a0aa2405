"""Real servers for integration tests, and a wall around unit tests.

`kafka` and `clickhouse` are one server each for the whole session, started when the first test asks for it, on random
ports and in a temporary folder. A server that cannot start fails the test: what was promised and is missing is no skip.
"""

from __future__ import annotations

import atexit
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from deploy.local.child import Child
from deploy.local.clickhouse import ClickHouseServer
from deploy.local.errors import StackError
from deploy.local.kafka import KafkaServer
from deploy.local.ports import free_port

settings.register_profile("untimed", deadline=None)  # how long an example takes is no fault of it: tests are not timed
settings.load_profile("untimed")

# The workers of pytest-xdist ignore SIGINT, and what they start would inherit that: Ctrl-C would end nothing in a test.
signal.signal(signal.SIGINT, signal.default_int_handler)

START_SECONDS = 120  # the very first start of Kafka downloads 45 MB


class _Server:
    """What both handles can do: die and come back, with the same data and ports."""

    def __init__(self, child: Child, ready: Callable[[], bool]) -> None:
        self._child = child
        self._ready = ready

    @property
    def pid(self) -> int:
        return self._child.pid

    def launch(self) -> None:
        """Start it; does not wait until it answers (`start` does, but not inside an event loop)."""
        self._child.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.launch()
        self._child.wait_until(self._ready, START_SECONDS)

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        self._child.kill()


class Kafka(_Server):
    """A broker of this session: `.bootstrap`, `.pid`, `.kill()`, `.start()`."""

    def __init__(self, server: KafkaServer, child: Child) -> None:
        super().__init__(child, server.ready)
        self.bootstrap = server.bootstrap


class ClickHouse(_Server):
    """A server of this session: `.url` (with database), `.http_port`, `.native_port`, `.pid`, `.kill()`, `.start()`."""

    def __init__(self, server: ClickHouseServer, child: Child) -> None:
        super().__init__(child, server.ready)
        self.url = server.url
        self.http_port = server.http_port
        self.native_port = server.native_port


def _started(server: _Server) -> Iterator[Any]:
    atexit.register(server.kill)  # also when pytest itself breaks off; and the child dies with this process anyway
    try:
        server.start()
    except StackError as error:
        server.kill()
        pytest.fail(f"an integration test needs a server that did not start: {error}", pytrace=False)
    try:
        yield server
    finally:
        server.kill()
        atexit.unregister(server.kill)


def _broker(folder: Path) -> Iterator[Kafka]:
    port = free_port()
    server = KafkaServer(folder / "data", port, free_port({port}))
    yield from _started(Kafka(server, Child("kafka", server.argv(), folder / "kafka.log")))


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    yield from _broker(tmp_path_factory.mktemp("kafka"))


@pytest.fixture
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A broker for one test, which looks at all that lies in the topics."""
    yield from _broker(tmp_path_factory.mktemp("own-kafka"))


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    folder: Path = tmp_path_factory.mktemp("clickhouse")
    port = free_port()
    server = ClickHouseServer(folder / "data", port, free_port({port}))
    server.write_configuration()
    yield from _started(ClickHouse(server, Child("clickhouse", server.argv(), folder / "clickhouse.log")))


@pytest.fixture(autouse=True)
def network_attempts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every test that is not marked `integration` fails when it opens a network connection, also when its code swallows
    the error. Sockets inside this machine's kernel (AF_UNIX, which asyncio uses) are let through."""
    attempts: list[str] = []
    if request.node.get_closest_marker("integration"):
        yield attempts
        return

    def guarded(name: str) -> Callable[..., Any]:
        original = getattr(socket.socket, name)

        def call(self: socket.socket, *arguments: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6):
                attempts.append(f"{name} to {arguments[-1]}")
                raise RuntimeError(f"a unit test may not reach the network ({attempts[-1]}): mark it `integration`")
            return original(self, *arguments)

        return call

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, guarded(name))
    yield attempts
    if attempts:
        pytest.fail(f"a unit test reached for the network: {', '.join(attempts)}", pytrace=False)
