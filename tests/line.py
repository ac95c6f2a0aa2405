"""The whole line on this machine, for tests: servers, collector, workers and sink as processes that a test can kill.

    with Line(folder, workers=2) as line:
        line.post(touchpoints)
        line.kill("worker-1")
        line.start("worker-1")
        line.settle()
        line.rows("SELECT count() FROM v_touchpoints")

Everything listens on loopback, on random ports, with its data in the folder; leaving the block ends every process by its
pid, also after an error. Use it from the main thread only: Linux ends a child with the thread that started it.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from aiokafka.errors import KafkaError

from deploy.local.child import Child
from deploy.local.clickhouse import ClickHouseServer
from deploy.local.kafka import KafkaServer
from deploy.local.ports import free_port
from runtime.kafka import TopicSpec, create_topics
from runtime.settings import ClickHouseSettings, KafkaSettings
from schemas.definition import DEFAULT_FILE
from schemas.topics import TOPICS
from sinks.digest import digest
from sinks.erasing.remove import TABLES
from sinks.migrate import migrate
from sinks.reader import connect, reader
from tests.standing import Standing, look

START_SECONDS = 120.0
QUIET_SECONDS = 2.5  # longer than any leg holds back a row that it owes
STUCK_SECONDS = 90.0  # without any progress: longer than any fault takes to be over
DIGESTED = ("touchpoints", "person_touchpoints", "journeys")
Ready = Callable[[], bool]


class NotSettled(AssertionError):
    """The line was still moving, or stood still before it was through, when the time was over."""


class Line:
    """See the module. Processes are named kafka, clickhouse, collector, sink, worker-1, worker-2, …"""

    def __init__(
        self,
        folder: Path,
        *,
        source: str = "test",
        definitions: Path = DEFAULT_FILE,
        workers: int = 1,
        partitions: int = 4,
        environment: Mapping[str, Mapping[str, str]] | None = None,
        broker: type[KafkaServer] = KafkaServer,
        topic_config: Mapping[str, str] | None = None,
    ) -> None:
        """`environment` adds to a process's own, by its name; "worker" is for all workers. `topic_config` goes before what
        the topics say of themselves."""
        self.folder = folder
        self.write_key = secrets.token_hex(8)
        self.restarts: Counter[str] = Counter()  # what ended by itself and was started again by `revive`
        self._workers = workers
        self.partitions = partitions
        self._environment = environment or {}
        self._children: dict[str, Child] = {}
        self._ready: dict[str, Ready] = {}
        self._wanted: set[str] = set()
        self._taken: set[int] = set()
        self._topic_config = topic_config or {}
        self._kafka = broker(folder / "kafka", self._port(), self._port())
        self._clickhouse = ClickHouseServer(folder / "clickhouse", self._port(), self._port())
        self._collector_port = self._port()
        self.url = f"http://127.0.0.1:{self._collector_port}/v1/touchpoints"
        self.kafka = KafkaSettings(bootstrap=self._kafka.bootstrap)
        self.clickhouse = ClickHouseSettings(url=self._clickhouse.url, native_port=self._clickhouse.native_port)
        self.environment = {
            "DESIRELINE_HOME": str(folder),
            "KAFKA_BOOTSTRAP": self._kafka.bootstrap,
            "CLICKHOUSE_URL": self._clickhouse.url,
            "CLICKHOUSE_NATIVE_PORT": str(self._clickhouse.native_port),
            "DESIRELINE_WRITE_KEYS": f"{source}={self.write_key}",
            "DESIRELINE_DEFINITIONS": str(definitions),
            "DESIRELINE_COLLECTOR_PORT": str(self._collector_port),
        }

    # --- the whole ---------------------------------------------------------------------------------------------------

    def __enter__(self) -> Line:
        try:
            self._clickhouse.write_configuration()
            self._add("kafka", self._kafka.argv(), self._kafka.ready)
            self._add("clickhouse", self._clickhouse.argv(), self._clickhouse.ready)
            for name in ("kafka", "clickhouse"):
                self.start(name, wait=False)
            for name in ("kafka", "clickhouse"):
                self.wait_ready(name)
            own = self._topic_config
            create_topics(
                self.kafka, [TopicSpec(topic.name, self.partitions, {**topic.config, **own}) for topic in TOPICS]
            )
            migrate(self.clickhouse)
            self._add_ours("sink", "sinks.app")
            collector = [sys.executable, "-m", "ingest.collector"]
            self._add("collector", collector, partial(_answers, self._collector_port, "/readyz"))
            for name in ("sink", "collector"):
                self.start(name, wait=False)
            for _ in range(self._workers):
                self.start(self.add_worker(), wait=False)
            for name in sorted(self._wanted):
                self.wait_ready(name)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        """Nothing is kept, so nothing is asked to stop in order."""
        for child in reversed(self._children.values()):
            if child.alive:
                os.kill(child.pid, signal.SIGCONT)
                child.kill()

    # --- one process -------------------------------------------------------------------------------------------------

    @property
    def names(self) -> list[str]:
        return list(self._children)

    def pids(self) -> dict[str, int]:
        """Of the processes that should run. Raises AssertionError for one that has ended by itself."""
        for name in self._wanted:
            assert self._children[name].alive, f"{name} {self._children[name].how_it_ended()}"
        return {name: self._children[name].pid for name in sorted(self._wanted)}

    def add_worker(self, **environment: str) -> str:
        """Another worker, with this added to its environment, not yet started; its name."""
        name = f"worker-{1 + sum(known.startswith('worker-') for known in self._children)}"
        self._add_ours(name, "processors.app", environment)
        return name

    def start(self, name: str, *, wait: bool = True) -> None:
        self._children[name].start()
        self._wanted.add(name)
        if wait:
            self.wait_ready(name)

    def wait_ready(self, name: str, seconds: float = START_SECONDS) -> None:
        self._children[name].wait_until(self._ready[name], seconds)

    def kill(self, name: str) -> None:
        """`kill -9`, and wait until it is gone; `start` brings it back with the same data and ports."""
        self._wanted.discard(name)
        self._children[name].kill()

    def stop(self, name: str, seconds: float = 30) -> int:
        """SIGTERM, and wait; its exit code."""
        self._wanted.discard(name)
        self._children[name].stop(seconds)
        return self._children[name].exit_code or 0

    def freeze(self, name: str) -> None:
        os.kill(self._children[name].pid, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        os.kill(self._children[name].pid, signal.SIGCONT)

    def revive(self) -> list[str]:
        """Start again what ended by itself, as a supervisor does; their names."""
        ended = [name for name in sorted(self._wanted) if not self._children[name].alive]
        for name in ended:
            self.restarts[name] += 1
            self._children[name].start()
        return ended

    def log(self, name: str) -> str:
        """Everything that it has logged."""
        return (self.folder / "logs" / f"{name}.log").read_text(errors="replace")

    # --- what goes in, what comes out --------------------------------------------------------------------------------

    def post(self, body: bytes, content_type: str = "application/json") -> bytes:
        """One request to the collector; the answer's body. Raises OSError (HTTPError with its status)."""
        headers = {"Authorization": f"Bearer {self.write_key}", "Content-Type": content_type}
        with urllib.request.urlopen(urllib.request.Request(self.url, body, headers), timeout=60) as answer:
            return bytes(answer.read())

    def cli(self, *arguments: str, seconds: float = 600) -> str:
        """Run `desireline ARGUMENTS` against this line; its standard output. AssertionError when it fails."""
        command = [sys.executable, "-m", "cli", *arguments]
        done = subprocess.run(
            command, env=os.environ | self.environment, capture_output=True, text=True, timeout=seconds, check=False
        )
        assert done.returncode == 0, (
            f"desireline {' '.join(arguments)}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
        )
        return done.stdout

    def forget_quickly(self) -> None:
        """Let replaced parts of ClickHouse's tables go at once, so that no erasure waits a minute for them."""
        with connect(self.clickhouse) as client:
            for table in TABLES:
                client.execute(
                    f"ALTER TABLE {table} MODIFY SETTING "
                    "old_parts_lifetime = 1, cleanup_delay_period = 1, max_cleanup_delay_period = 1"
                )

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        with reader(self.clickhouse) as clickhouse:
            return clickhouse.ask(sql, parameters).rows

    def digests(self, as_of: int, tables: Iterable[str] = DIGESTED) -> dict[str, str]:
        with reader(self.clickhouse) as clickhouse:
            return {table: digest(clickhouse, table, as_of) for table in tables}

    def standing(self, *, thoroughly: bool = False) -> Standing:
        """Raises KafkaError, OSError while the broker is away."""
        return asyncio.run(look(self.kafka, thoroughly))

    def settle(self, seconds: float = 120, *, revive: bool = False) -> Standing:
        """Return when everything that was sent has come through: every group has committed every record that there is,
        and nothing has been added for a while in which the stitch leg went on. NotSettled after `seconds`, or when
        nothing gets on."""
        deadline = time.monotonic() + seconds
        stuck_at = time.monotonic() + STUCK_SECONDS
        quiet: Standing | None = None
        quiet_since = 0.0
        problem = ""
        unread: tuple[str, ...] = ()
        while time.monotonic() < min(deadline, stuck_at):
            if revive:
                self.revive()
            try:
                found = self.standing(thoroughly=True)
            except (KafkaError, OSError, TimeoutError) as error:
                quiet, problem = None, f"no broker: {error!r}"
                continue
            problem = "; ".join(found.unread) or f"still moving: {found.figures}"
            if found.unread != unread:
                unread, stuck_at = found.unread, time.monotonic() + STUCK_SECONDS
            if found.unread or quiet is None or found.figures != quiet.figures:
                quiet, quiet_since = None if found.unread else found, time.monotonic()
            elif time.monotonic() - quiet_since >= QUIET_SECONDS and found.passed(quiet):
                return found
            time.sleep(0.25)
        raise NotSettled(f"{problem}\n{self._last_words()}")

    def _last_words(self) -> str:
        """How each process is, and what it said last."""
        said = {
            name: child.last_words() if child.alive else child.how_it_ended() for name, child in self._children.items()
        }
        return "\n".join(f"--- {name}\n{words}" for name, words in said.items())

    # --- inside ------------------------------------------------------------------------------------------------------

    def _port(self) -> int:
        port = free_port(self._taken)
        self._taken.add(port)
        return port

    def _add(self, name: str, argv: list[str], ready: Ready, environment: Mapping[str, str] | None = None) -> None:
        added = {} if environment is None else environment
        own = {**self._environment.get(name.partition("-")[0], {}), **self._environment.get(name, {})}
        log = self.folder / "logs" / f"{name}.log"
        self._children[name] = Child(name, argv, log, {**self.environment, **added, **own})
        self._ready[name] = ready

    def _add_ours(self, name: str, module: str, environment: Mapping[str, str] | None = None) -> None:
        """A process of ours that is ready when its metrics can be read."""
        port = self._port()
        ready = partial(_answers, port, "/metrics")
        self._add(
            name, [sys.executable, "-m", module], ready, {"DESIRELINE_METRICS_PORT": str(port), **(environment or {})}
        )


def _answers(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
