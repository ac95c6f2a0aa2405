"""`desireline import` and `desireline tail` as a user runs them, against a real Kafka."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runtime.kafka import Record, TopicSpec, create_topics, read_topic
from runtime.settings import KafkaSettings
from schemas.codec import decode_stored
from schemas.dead_letter import DeadLetter
from schemas.topics import COMMANDS, DEAD_LETTERS, TOUCHPOINTS
from tests.asking import wait_for
from tests.conftest import Kafka
from tests.orders import erasure, give

pytestmark = pytest.mark.integration
MAP = """
source: {source}
identifiers: {{customer_id: customer}}
channel: {{value: store}}
name: what
occurred_at: at
properties: [row]
"""
CUSTOMERS = 97


@pytest.fixture(scope="module")
def settings(kafka: Kafka) -> KafkaSettings:
    settings = KafkaSettings(bootstrap=kafka.bootstrap)
    create_topics(settings, [TopicSpec(topic.name, 4, topic.config) for topic in (TOUCHPOINTS, DEAD_LETTERS, COMMANDS)])
    return settings


class User:
    """Someone at a terminal, in a folder of their own."""

    def __init__(self, folder: Path, settings: KafkaSettings) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "KAFKA_BOOTSTRAP": settings.bootstrap,
            "DESIRELINE_HOME": str(folder / "home"),
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "cli", *arguments],
            cwd=Path(__file__).parents[2],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        with self.start(*arguments) as process:
            try:
                out, err = process.communicate(timeout=60)
            finally:
                process.kill()
        return process.returncode, out, err

    def write(self, source: str, rows: int, bad: frozenset[int] = frozenset()) -> tuple[str, ...]:
        """A file and its map, as arguments of `import`. The time of the bad rows is no time."""
        lines = ["customer,what,at,row"]
        for row in range(rows):
            at = "never" if row in bad else f"2026-03-01T12:{row // 60 % 60:02d}:{row % 60:02d}Z"
            lines.append(f"c{row % CUSTOMERS},visit,{at},{row}")
        (self.folder / "rows.csv").write_text("\n".join(lines))
        (self.folder / "map.yaml").write_text(MAP.format(source=source))
        return str(self.folder / "rows.csv"), "--map", str(self.folder / "map.yaml")


@pytest.fixture
def user(tmp_path: Path, settings: KafkaSettings) -> User:
    return User(tmp_path, settings)


def of_source(settings: KafkaSettings, topic: str, source: str) -> list[Record]:
    mark = f'"source":"{source}"'.encode()
    return [record for record in asyncio.run(read_topic(settings, topic)) if mark in (record.value or b"")]


def test_all_rows_arrive_once_in_their_customers_order_and_bad_ones_in_the_dead_letters(
    user: User, settings: KafkaSettings
) -> None:
    code, _, said = user.run("import", *user.write("whole", 3000, bad=frozenset({7, 1999})))
    assert code == 0, said
    assert "2,998 touchpoints sent, 2 rejected (unmappable 2)" in said
    assert "rows.csv:9: unmappable" in said
    records = of_source(settings, TOUCHPOINTS.name, "whole")
    touchpoints = [decode_stored.decode(record.value or b"") for record in records]
    assert sorted(touchpoint.properties["row"] for touchpoint in touchpoints) == sorted(
        str(row) for row in range(3000) if row not in (7, 1999)
    )
    for touchpoint in touchpoints:
        assert touchpoint.sequence == int(touchpoint.properties["row"]) // CUSTOMERS
    letters = [
        msgspec.json.decode(r.value or b"", type=DeadLetter) for r in of_source(settings, DEAD_LETTERS.name, "whole")
    ]
    assert [(letter.address, letter.reason, letter.leg) for letter in letters] == [
        ("rows.csv:9", "unmappable", "import"),
        ("rows.csv:2001", "unmappable", "import"),
    ]
    assert letters[0].record == "c7,visit,never,7"


def test_an_import_that_is_killed_goes_on_where_it_stopped(user: User, settings: KafkaSettings) -> None:
    rows = 6000
    arguments = ("import", *user.write("killed", rows), "--rate", "1500")
    positions = user.folder / "home" / "imports"
    process = user.start(*arguments)
    try:
        wait_for(lambda: any(positions.glob("*.json")), 60, "a position on disk")
    finally:
        process.kill()
    process.communicate()
    (position,) = positions.glob("*.json")
    done = json.loads(position.read_bytes())["rows"]
    assert 0 < done < rows
    before = of_source(settings, TOUCHPOINTS.name, "killed")
    assert len(before) >= done, "a position is saved after its rows are safe"

    code, _, said = user.run("import", *arguments[1:-2])
    assert code == 0, said
    assert f"goes on after row {done:,}" in said
    assert f"{rows - done:,} touchpoints sent" in said
    assert not list(positions.iterdir()), "an import that is through leaves nothing"
    records = of_source(settings, TOUCHPOINTS.name, "killed")
    assert len(records) < rows + len(before), "it did not begin again"
    by_id: dict[object, Any] = {}
    for record in records:
        touchpoint = decode_stored.decode(record.value or b"")
        again = by_id.setdefault(touchpoint.event_id, touchpoint)
        assert (again.content, again.sequence) == (touchpoint.content, touchpoint.sequence)
    assert sorted(int(t.properties["row"]) for t in by_id.values()) == list(range(rows))


def test_a_dry_run_shuffled_and_doubled_gives_the_same_touchpoints(user: User, settings: KafkaSettings) -> None:
    arguments = user.write("dry", 500)
    dry = user.folder / "dry.jsonl.gz"
    code, _, said = user.run("import", *arguments, "--dry-run", "--out", str(dry))
    assert code == 0, said
    assert of_source(settings, TOUCHPOINTS.name, "dry") == []
    assert user.run("import", *arguments)[0] == 0

    with gzip.open(dry) as file:
        lines = file.read().splitlines()
    lines += lines[::10]
    random.Random(1).shuffle(lines)
    shuffled = user.folder / "shuffled.jsonl"
    shuffled.write_bytes(b"\n".join(lines))
    code, _, said = user.run("import", str(shuffled))
    assert code == 0, said
    assert "550 touchpoints sent, 0 rejected" in said
    records = of_source(settings, TOUCHPOINTS.name, "dry")
    assert len(records) == 500 + 550
    seen: dict[object, tuple[object, ...]] = {}
    for record in records:
        touchpoint = decode_stored.decode(record.value or b"")
        content = (touchpoint.content, touchpoint.sequence, touchpoint.occurred_at, record.key, record.partition)
        assert seen.setdefault(touchpoint.event_id, content) == content
    assert len(seen) == 500


def test_an_import_waits_for_a_broker_that_comes_back(kafka: Kafka, user: User, settings: KafkaSettings) -> None:
    process = user.start("import", *user.write("outage", 9000), "--rate", "3000")
    positions = user.folder / "home" / "imports"
    try:
        wait_for(lambda: any(positions.glob("*.json")), 60, "a position on disk")
        kafka.kill()
        kafka.start()
        out, said = process.communicate(timeout=90)
    finally:
        process.kill()
    assert process.returncode == 0, (out, said)
    rows = {
        int(decode_stored.decode(record.value or b"").properties["row"])
        for record in of_source(settings, TOUCHPOINTS.name, "outage")
    }
    assert rows == set(range(9000))


def test_the_kinds_of_identifiers_are_those_of_the_file(user: User, settings: KafkaSettings) -> None:
    file = user.folder / "identity.yaml"
    file.write_text("{kinds: [{name: table}, {name: phone}], phone_region: MX}")
    rows, _, map_file = user.write("floor", 1)
    Path(rows).write_text("customer,phone,what,at,row\n7,55 1234 5678,seated,2026-03-01T12:00:00Z,0\n")
    text = MAP.format(source="floor").replace("{customer_id: customer}", "{table: customer, phone: phone}")
    Path(map_file).write_text(text)
    code, _, said = user.run("import", rows, "--map", map_file)
    assert (code, "identifiers.table is not a configured kind" in said) == (1, True), said

    user.environment["DESIRELINE_IDENTITY"] = str(file)
    code, _, said = user.run("import", rows, "--map", map_file)
    assert code == 0, said
    (record,) = of_source(settings, TOUCHPOINTS.name, "floor")
    assert record.key == b"table:7"
    assert decode_stored.decode(record.value or b"").identifiers == {"table": "7", "phone": "+525512345678"}

    file.write_text("{kinds: [], phone_region: MX}")
    code, _, said = user.run("import", rows, "--map", map_file)
    assert (code, len(said.splitlines()), f"{file}: " in said) == (1, 1, True), said


def test_who_is_erased_is_left_out(user: User, settings: KafkaSettings) -> None:
    arguments = user.write("erased", 200)
    rows = Path(arguments[0])
    rows.write_text(rows.read_text().replace("c3,", "forgotten,"))  # nobody whom other tests know
    give(settings, erasure(1_772_366_460_000, ["customer_id:forgotten"]))  # up to 12:01
    code, _, said = user.run("import", *arguments)
    assert code == 0, said
    assert "199 touchpoints sent, 1 rejected (erased 1)" in said
    assert "rows.csv:5: erased: identifiers.customer_id: this customer was erased on request" in said
    sent = [decode_stored.decode(r.value or b"") for r in of_source(settings, TOUCHPOINTS.name, "erased")]
    assert len(sent) == 199
    new = [one.properties["row"] for one in sent if one.identifiers == {"customer_id": "forgotten"}]
    assert new == ["100", "197"], "what occurred later is theirs anew"
    assert of_source(settings, DEAD_LETTERS.name, "erased") == []


def test_tail_prints_what_is_accepted(user: User) -> None:
    assert user.run("import", *user.write("tail", 40))[0] == 0
    code, out, said = user.run("tail", "--from-beginning", "--count", "40")
    assert code == 0, said
    lines = out.splitlines()  # of other tests too: the broker is theirs as well
    assert len(lines) == 40
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  \w+ +\w+ +\w+:", line) for line in lines), out
    code, out, _ = user.run("tail", "--last", "12", "--count", "3", "--json")
    assert code == 0
    assert len({json.loads(line)["event_id"] for line in out.splitlines()}) == 3


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("import", "absent.csv", "--map", "absent.yaml"), "absent.yaml: cannot be read"),
        (("import", "absent.jsonl", "--source", "x"), "absent.jsonl: cannot be read"),
        (("import", "pyproject.toml"), "a CSV file needs a map"),
        (("import", "README.md", "--out", "x"), "--out is for --dry-run"),
    ],
)
def test_mistakes_are_one_sentence(user: User, arguments: tuple[str, ...], problem: str) -> None:
    code, _, said = user.run(*arguments)
    assert code == 1
    assert problem in " ".join(said.split())
    assert "Traceback" not in said
