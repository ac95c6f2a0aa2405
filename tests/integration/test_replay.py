"""Replay into the next generation on real servers: beside live traffic, to the same rows, and a swap that nobody notices."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from ingest.simulator.scenario import Scenario
from ingest.simulator.simulation import simulate
from runtime import generations as kafka_generations
from runtime.kafka import read_topic
from schemas import topics
from schemas.definition import DEFAULT_FILE
from sinks.reader import reader
from tests.line import Line
from tests.sender import Sender, batches

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

SOURCE = "vivan_los_tacos"
TABLES = ("person_touchpoints", "identities", "journeys")


def touchpoints() -> list[dict[str, Any]]:
    """Sign-ins, shared devices, corrections, duplicates and late ones."""
    known = Scenario(seed=1, customers=40, signed_in=True, duplicates=0.1, late=0.1, corrections=0.3)
    anonymous = Scenario(seed=2, customers=40, duplicates=0.1, late=0.1, corrections=0.3, shared_devices=0.3)
    return [json.loads(sent.touchpoint) for scenario in (known, anonymous) for sent in simulate(scenario)]


def conflicting(some: list[dict[str, Any]]) -> dict[str, Any]:
    """An id that was sent before, with other content: the identity leg refuses it."""
    return next(one for one in some if "revision" not in one) | {"name": "said_otherwise"}


def send(line: Line, some: list[dict[str, Any]], rate: float | None = None) -> Sender:
    return Sender(line.url, line.write_key, batches(some, 20), rate=rate).start()


@contextmanager
def replaying(
    line: Line, end: signal.Signals = signal.SIGINT, arguments: tuple[str, ...] = (), **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """`desireline replay start`, until the block ends with Ctrl-C, or another signal."""
    log = line.folder / "replay.log"
    with log.open("a") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "replay", "start", *arguments],
            env=os.environ | line.environment | environment,
            stdout=output,
            stderr=output,
            text=True,
        )
    try:
        yield process
        assert process.poll() is None, log.read_text()
        process.send_signal(end)
        assert process.wait(180) == (0 if end == signal.SIGINT else -end), log.read_text()
    finally:
        process.kill()
        process.wait()


def eventually(condition: Callable[[], object], what: str, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def count(line: Line, table: str, generation: int) -> int:
    return int(line.rows(f"SELECT count() FROM {table} FINAL WHERE generation = {generation}")[0][0])


def failing(line: Line, *arguments: str, **environment: str) -> str:
    """Run a command that must fail; what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        env=os.environ | line.environment | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1, done
    return done.stdout + done.stderr


class Watching(threading.Thread):
    """Counts v_journeys, and how many journey ids, again and again, as a dashboard would."""

    def __init__(self, line: Line) -> None:
        super().__init__(daemon=True)
        self._line, self._done = line, threading.Event()
        self.seen: list[tuple[int, int]] = []
        self.errors: list[str] = []

    def run(self) -> None:
        with reader(self._line.clickhouse) as clickhouse:
            while not self._done.is_set():
                try:
                    self.seen.append(clickhouse.ask("SELECT count(), uniqExact(journey_id) FROM v_journeys").rows[0])
                except Exception as error:  # noqa: BLE001 - it is what the test looks at
                    self.errors.append(repr(error))

    def end(self) -> None:
        self._done.set()
        self.join(30)


def test_a_generation_is_rebuilt_beside_live_traffic_and_becomes_the_live_one(tmp_path: Path) -> None:
    some = touchpoints()
    first, second = some[: len(some) // 2], some[len(some) // 2 :]
    with Line(tmp_path, source=SOURCE) as line:
        send(line, first).wait(60)
        send(line, [conflicting(first)]).wait(60)
        line.settle(120)
        line.cli("identifiers", "block", f"customer_id:{some[0]['identifiers']['customer_id']}")
        letters = line.rows("SELECT leg, reason, address FROM v_dead_letters")
        ledger = line.rows("SELECT * FROM v_ledger ORDER BY ALL")
        assert "only generation 1" in failing(line, "replay", "swap")

        with replaying(line, signal.SIGKILL):
            sender = send(line, second, rate=100)
            eventually(lambda: count(line, "journeys", 2), "the new generation writes journeys")
        with replaying(line):  # it was killed, and goes on
            sender.wait(120)
            line.settle(120)
            assert line.rows("SELECT leg, reason, address FROM v_dead_letters") == letters
            refused = [one for one in read(line, topics.DEAD_LETTERS.name) if one["leg"] == "identity"]
            assert len(refused) == 1, "a replay refuses it again, and says so once"

            said = line.cli("replay", "compare")
            assert said.splitlines() == [f"{table}: the same" for table in TABLES]
            for table in ("person_touchpoints", "identities", "journeys"):
                assert count(line, table, 1) == count(line, table, 2) > 50, table
            status = line.cli("replay", "status")
            assert re.search(r"^1 +live", status, re.MULTILINE), status

            figures = "SELECT sum(entered) FROM rollup_funnel FINAL WHERE generation = "
            eventually(lambda: line.rows(f"{figures}1") == line.rows(f"{figures}2") != [(0,)], "figures are refreshed")
            now = int(time.time() * 1000)
            before = line.digests(now), line.rows("SELECT * FROM v_funnel ORDER BY ALL")
            watching = Watching(line)
            watching.start()
            eventually(lambda: watching.seen or watching.errors, "somebody reads")
            assert "replay swap 1" in line.cli("replay", "swap")
            eventually(
                lambda: line.rows("SELECT generation FROM live_generation") == [(2,)] and len(watching.seen) > 20,
                "the swap",
            )
            watching.end()
            assert not watching.errors
            assert set(watching.seen) == {(count(line, "journeys", 2),) * 2}, "never none, never double"
            assert (line.digests(now), line.rows("SELECT * FROM v_funnel ORDER BY ALL")) == before
            assert sum(one[2] for one in line.rows("SELECT * FROM v_ledger")) > sum(one[2] for one in ledger)
            line.cli("replay", "swap", "1")
            line.cli("replay", "swap", "2")

            assert "is live" in failing(line, "replay", "drop", "2")
            assert "stop its workers" in failing(line, "replay", "drop", "1")
            new_worker = line.add_worker(DESIRELINE_GENERATION="2")
            line.start(new_worker)
        assert line.stop("worker-1") == 0
        said = line.cli("replay", "drop", "1")
        assert "is gone" in said
        assert kafka_generations.existing(line.kafka) == [2]
        assert [count(line, table, 1) for table in TABLES] == [0, 0, 0]
        assert line.digests(now) == before[0]

        # Life goes on in generation 2, and what it refuses now has its letter.
        send(line, [conflicting(first), *some[:20]]).wait(60)
        again = "SELECT count() FROM v_dead_letters WHERE leg = 'identity'"
        eventually(lambda: line.rows(again) == [(2,)], "the live generation writes dead letters")
        eventually(lambda: "the same" not in failing(line, "replay", "compare"), "there is nothing to compare with")
        line.pids()


def forget(line: Line, topic: str, up_to: dict[int, int] | None = None) -> None:
    """As retention does: the oldest records are gone, by default the first of partition 0."""
    admin = KafkaAdminClient(**line.kafka.client())
    admin.delete_records({TopicPartition(topic, number): at for number, at in (up_to or {0: 1}).items()})
    admin.close()


def read(line: Line, topic: str) -> list[dict[str, Any]]:
    return [json.loads(record.value or b"{}") for record in asyncio.run(read_topic(line.kafka, topic))]


def test_changed_definitions_make_rows_of_the_new_version_only(tmp_path: Path) -> None:
    text = DEFAULT_FILE.read_text(encoding="utf-8")
    changed = tmp_path / "journeys.yaml"
    changed.write_text(re.sub(r"version: 1\b", "version: 2", text, count=1), encoding="utf-8")
    assert changed.read_text() != text
    some = touchpoints()
    with Line(tmp_path / "line", source=SOURCE) as line:
        send(line, some).wait(60)
        line.settle(120)
        with replaying(line, DESIRELINE_DEFINITIONS=str(changed)):
            eventually(lambda: count(line, "journeys", 2), "the new generation writes journeys")
            said = failing(line, "replay", "compare")
            assert "person_touchpoints: the same" in said
            journeys = count(line, "journeys", 1)
            assert "other generations than 1" in failing(line, "topics", "resize", "6")
            assert f"journeys: 0 alike, 0 only in 1, 0 only in 2, {journeys:,} with other content" in said
            line.cli("replay", "swap")
            assert line.rows("SELECT DISTINCT definition_version FROM v_journeys") == [(2,)]
            assert line.rows("SELECT count() FROM v_journeys") == [(journeys,)]
            line.cli("replay", "swap", "1")
            assert line.rows("SELECT DISTINCT definition_version FROM v_journeys") == [(1,)]

        # What is gone from the log can only be said, not replayed; and a number is never used twice.
        line.cli("replay", "drop", "2")
        forget(line, topics.TOUCHPOINTS.name)
        assert "desireline replay start --from clickhouse" in failing(line, "replay", "start")
        assert kafka_generations.existing(line.kafka) == [1]
