"""Erasure to the last byte: every file of Kafka's and ClickHouse's folders and every log, searched for one customer.

Topics and columns are uncompressed, so that her bytes can be found; retention is a minute and compaction takes seconds, so
that the logs forget within the test. She is found before, in each topic and table that holds plain identifiers; afterwards
nowhere, while everybody else's touchpoints go on.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from deploy.local.kafka import KafkaServer
from schemas import topics
from sinks.reader import connect
from tests.integration.test_erase import erased
from tests.line import Line

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(900)]

SOURCE = "shop"
KEPT_MS = 60_000
HER = {
    "customer_id": "ada-7431-lovelace",
    "loyalty_id": "card-7431-ada",
    "email": "ada.lovelace.7431@example.org",
    "phone": "+525574317431",
    "anonymous_id": "device-7431-of-ada",
}
SAID = "the-waiter-of-7431-was-late"  # what she wrote
NEEDLES = tuple(value.encode() for value in (*HER.values(), SAID))
TOPICS = {"touchpoints", "identity", "identities", "dead_letters", "identity-changelog"}
TABLES = {"touchpoints", "identities", "dead_letters"}
FORGETFUL = {
    "compression.type": "uncompressed",
    "segment.ms": "4000",
    "segment.jitter.ms": "0",
    "max.compaction.lag.ms": "4000",
    "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": "2000",
    "file.delete.delay.ms": "500",
}
BROKER = """
log.retention.check.interval.ms=1000
log.initial.task.delay.ms=1000
log.cleaner.backoff.ms=500
"""


class Forgetful(KafkaServer):
    """A broker that looks every second for what it may delete."""

    def argv(self) -> list[str]:
        module, *rest = super().argv()[2:]
        return [sys.executable, "-c", f"import {module} as k; k.PROPERTIES += {BROKER!r}; k.main()", *rest]


def touchpoint(ident: str, who: dict[str, str], **more: Any) -> dict[str, Any]:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))
    return {"event_id": ident, "name": "menu_viewed", "channel": "web", "occurred_at": at, "identifiers": who} | more


def hers() -> list[dict[str, Any]]:
    named = {kind: HER[kind] for kind in ("customer_id", "loyalty_id", "email", "anonymous_id")}
    kiosk = {"anonymous_id": "kiosk"}
    return [
        touchpoint("1", {"anonymous_id": HER["anonymous_id"]}),
        touchpoint("2", named, feedback={"kind": "text", "text": SAID}),
        touchpoint("3", named | {"phone": HER["phone"]}, properties={"said": SAID}),
        touchpoint("4", kiosk | {"email": HER["email"]}),
        touchpoint("5", {"phone": HER["phone"], "customer_id": HER["customer_id"]}, revision=1, channel="call_center"),
        touchpoint("5", {"phone": HER["phone"], "email": HER["email"]}, revision=2, channel="call_center"),
        {"identifiers": named, "feedback": {"text": SAID}},  # no name: a dead letter
    ]


def others(number: int) -> list[dict[str, Any]]:
    """Enough keys that every partition of every topic is written to, a dead letter among them."""
    some = [
        touchpoint(f"o-{number}-{n}", {"customer_id": f"c-{number}-{n}", "anonymous_id": f"d-{n}"}) for n in range(24)
    ]
    return [*some, touchpoint(f"k-{number}", {"anonymous_id": "kiosk"}), {"identifiers": {"email": "x@example.org"}}]


class Traffic:
    """Everybody else's touchpoints, two requests a second, until it is left."""

    def __init__(self, line: Line) -> None:
        self._line, self._stop, self._number = line, threading.Event(), 0
        self._thread = threading.Thread(target=self._go)

    def _go(self) -> None:
        while not self._stop.wait(0.5):
            self._number += 1
            self._line.post(json.dumps(others(self._number)).encode())

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def found(folder: Path) -> dict[str, list[str]]:
    """Topic, table or file in whose files her bytes are → what was found there."""
    where: dict[str, set[str]] = defaultdict(set)
    for root, _, names in os.walk(folder):  # which passes over folders that are deleted meanwhile
        for file in (Path(root) / name for name in names):
            try:
                content = file.read_bytes().lower() if file.is_file() else b""
            except FileNotFoundError:  # deleted just now
                continue
            where[place(file, folder)] |= {needle.decode() for needle in NEEDLES if needle in content}
    return {name: sorted(some) for name, some in where.items() if some}


def place(file: Path, folder: Path) -> str:
    parts = file.relative_to(folder).parts
    if parts[:2] == ("kafka", "log") and (match := re.fullmatch(r"(.+)-\d+(\..*)?", parts[2])):
        return f"topic {match[1]}"
    return "/".join(parts)


def tables_of(line: Line, places: Iterable[str]) -> set[str]:
    """The tables whose data folders are among these files."""
    folders = {
        f"clickhouse/store/{path.split('/store/')[1].strip('/')}/": name
        for name, path in line.rows(
            "SELECT name, arrayJoin(data_paths) FROM system.tables WHERE database = currentDatabase() AND notEmpty(data_paths)"
        )
    }
    found = {name for place in places for start, name in folders.items() if place.startswith(start)}
    assert found or not folders or not [place for place in places if place.startswith("clickhouse/")], list(places)
    return found


def uncompressed(line: Line) -> None:
    columns = line.rows(
        "SELECT table, name, type FROM system.columns WHERE database = currentDatabase() AND NOT startsWith(table, 'v_') "
        f"AND table IN {tuple(sorted(TABLES))} AND (type LIKE '%String%')"
    )
    with connect(line.clickhouse) as client:
        for table, name, kind in columns:
            client.execute(f"ALTER TABLE {table} MODIFY COLUMN `{name}` {kind} CODEC(NONE)")


def keep_for(line: Line, milliseconds: int) -> None:
    """Make it the retention of all topics."""
    changed = {"retention.ms": str(milliseconds)}
    admin = KafkaAdminClient(**line.kafka.client())
    try:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, changed) for topic in topics.TOPICS])
    finally:
        admin.close()


def test_no_byte_of_her_is_left(tmp_path: Path) -> None:
    """Query logs and the trace log of ClickHouse are on, as on servers that others run."""
    drop_in = tmp_path / "clickhouse" / "etc" / "config.d" / "logs.xml"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text(
        "<clickhouse><logger><level>trace</level></logger><query_log><database>system</database><table>query_log</table>"
        "<flush_interval_milliseconds>500</flush_interval_milliseconds></query_log></clickhouse>"
    )
    environment = {"sink": {"DESIRELINE_SINK_REFRESH_SECONDS": "0.5"}}
    config = FORGETFUL | {"retention.ms": str(10 * KEPT_MS)}  # until she was found
    with Line(tmp_path, source=SOURCE, environment=environment, broker=Forgetful, topic_config=config) as line:
        line.forget_quickly()
        uncompressed(line)
        line.post(json.dumps([*hers(), *others(0)]).encode())
        line.settle()
        before = found(tmp_path)
        assert {name.removeprefix("topic ") for name in before if name.startswith("topic ")} == TOPICS, before
        assert tables_of(line, before) == TABLES, before
        keep_for(line, KEPT_MS)
        with Traffic(line):
            asked = tmp_path.parent / "ids.txt"
            asked.write_text(f"email:{HER['email']}\n")
            (receipt,) = erased(line, "--file", str(asked))
            in_clickhouse = {name for name in found(tmp_path) if not name.startswith("topic ")}
            assert in_clickhouse == set()
            assert receipt["removed"]["identifiers"] == len(HER)
            deadline = time.monotonic() + 300
            while left := found(tmp_path):
                assert time.monotonic() < deadline, left
                time.sleep(1)
        assert "0 differences" in line.cli("verify")
