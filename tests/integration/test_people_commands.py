"""The commands for people, on real servers: what they say about known rows, and how they take mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from deploy.local.ports import free_port
from people import life
from people.life import Touchpoint
from runtime.kafka import TopicSpec, create_topics
from runtime.settings import ClickHouseSettings, KafkaSettings
from schemas.codec import encode
from schemas.definition import Rules, load_definitions
from schemas.person import Assigned, FoldRecord, Identity
from schemas.topics import TOPICS
from sinks.clickhouse import HttpWriter
from sinks.reader import connect
from sinks.rollups import Pass
from sinks.rows import TABLES, dirty_lines, lines_of, newest_journeys
from sinks.stages import stage_lines
from tests.conftest import Kafka
from tests.sink_records import FakeRecord, identifier, touchpoint

pytestmark = pytest.mark.integration
DEFINITIONS = load_definitions()
RULES = Rules(DEFINITIONS)
MARCH = 1_772_323_200_000  # 2026-03-01T00:00:00Z
HOUR, DAY = 3_600_000, 86_400_000
LATER = MARCH + 200 * DAY
# Customers of one shop: what they did, hours after March began. Ada buys, Bob and Cleo leave while they wait.
LIVES: dict[str, list[tuple[float, str, str]]] = {
    "ada": [
        (0, "web", "menu_viewed"),
        (1, "web", "reservation_started"),
        (90, "store", "seated"),
        (91, "store", "paid"),
    ],
    "bob": [(2, "store", "seated"), (2.2, "store", "waiting")],
    "cleo": [(30, "web", "menu_viewed"), (31, "store", "seated"), (31.5, "store", "waiting")],
}


def fill(settings: ClickHouseSettings) -> None:
    """Write the lives as the legs and the sink would."""
    records: dict[str, list[bytes]] = {topic: [] for topic in ("touchpoints", "people", "identities", "journeys")}
    number = 0
    for name, steps in LIVES.items():
        person, own = identifier("person", ord(name[0])), []
        who = {"customer_id": name, "email": f"{name}@example.org"}
        for hours, channel, what in steps:
            number += 1
            event, at = identifier("event", number), MARCH + round(hours * HOUR)
            numbers = RULES.of(channel, what, {})
            felt = {"feedback": {"kind": "nps", "score": 9, "text": "¡Vivan los tacos!"}} if what == "paid" else {}
            money = {"value": {"amount": 24_500, "currency": "MXN"}} if what == "paid" else {"value": None}
            records["touchpoints"].append(
                touchpoint(number, event_id=str(event), channel=channel, name=what, occurred_at=at, identifiers=who,
                           **{"feedback": None} | felt | money)
            )  # fmt: skip
            record = FoldRecord(at=at, channel=channel, name=what, rules=numbers)
            if what == "paid":
                record = msgspec.structs.replace(record, amount=24_500, currency="MXN", feedback="nps", score=9)
            records["people"].append(encode(Assigned(person.hex, event.hex, 0, 0, at, record)))
            own.append(Touchpoint(event.bytes, at, -1, channel, what, tuple(numbers)))
        records["identities"] += [
            encode(Identity(f"{kind}:{one}", person.hex, person.hex, MARCH, 1)) for kind, one in who.items()
        ]
        for told in life.journeys(person, own, DEFINITIONS, as_of=MARCH):
            records["journeys"].append(encode(msgspec.structs.replace(told.journey, version=1)))
    writer = HttpWriter(settings)
    try:
        writer.write("stages", stage_lines(DEFINITIONS))
        for topic, values in records.items():
            rows: Sequence[FakeRecord] = [FakeRecord(topic, offset, value) for offset, value in enumerate(values)]
            if topic == "journeys":
                journeys = newest_journeys(rows)
                writer.write("dirty_hours", dirty_lines(journeys.dirty))
                rows = journeys.newest  # type: ignore[assignment]
            writer.write(TABLES[topic], lines_of(topic, rows))
    finally:
        writer.close()
    with connect(settings) as client:
        Pass(recent=False).refresh(client)


@pytest.fixture
def addressed(database: ClickHouseSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ClickHouseSettings:
    """The commands find the database of this test, and no stack of anybody's."""
    monkeypatch.setenv("CLICKHOUSE_URL", database.url)
    monkeypatch.setenv("CLICKHOUSE_NATIVE_PORT", str(database.native_port))
    monkeypatch.setenv("DESIRELINE_HOME", str(tmp_path / "home"))
    return database


@pytest.fixture
def shop(addressed: ClickHouseSettings) -> ClickHouseSettings:
    fill(addressed)
    return addressed


def desireline(*arguments: str, stdin: str | None = None) -> Result:
    result = CliRunner().invoke(app, arguments, input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def said(*arguments: str, stdin: str | None = None) -> str:
    result = desireline(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.output
    return result.stdout


# --- journeys ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", ["customer_id:ada", "ada", "Ada@Example.org ", str(identifier("person", ord("a")))])
def test_a_customer_is_found_by_any_identifier(shop: ClickHouseSettings, id: str) -> None:
    text = said("journeys", id)
    assert "customer_id:ada" in text.splitlines()[0]
    assert "email:ada@example.org" in text.splitlines()[0]
    assert "✓ completed" in text
    assert "MXN 245.00" in text
    assert "nps 9 ☺ “¡Vivan los tacos!”" in text
    assert "dropped off at consideration on Tue 03 Mar 01:00, and came back" in text


def test_as_json_it_is_one_object(shop: ClickHouseSettings) -> None:
    found = json.loads(said("journeys", "cleo", "--json"))
    assert (found["journeys"][0]["status"], found["journeys"][0]["stage"]) == ("dropped_off", "decision")
    assert [one["name"] for one in found["journeys"][0]["touchpoints"]] == ["menu_viewed", "seated", "waiting"]


def test_who_is_not_known_is_said_with_who_is_similar(shop: ClickHouseSettings) -> None:
    near = desireline("journeys", "cloe")
    assert (near.exit_code, near.stdout) == (1, "")
    assert "nobody is known as cloe; did you mean customer_id:cleo?" in near.stderr
    assert "nobody is known as zzzzzzzz\n" in desireline("journeys", "zzzzzzzz").stderr
    assert "nobody is known as" in desireline("journeys", str(UUID(int=1))).stderr


def test_an_identifier_of_several_people_asks_which(shop: ClickHouseSettings) -> None:
    writer = HttpWriter(shop)
    other = identifier("person", 7).hex
    value = encode(Identity("loyalty_id:ada", other, other, MARCH, 1))
    writer.write("identities", lines_of("identities", [FakeRecord("identities", 99, value)]))
    writer.close()
    result = desireline("journeys", "ada")
    assert result.exit_code == 1
    assert "more than one person's; say which: customer_id:ada, loyalty_id:ada" in result.stderr


def test_other_definitions_than_those_of_the_tables_are_refused(
    shop: ClickHouseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESIRELINE_DEFINITIONS", str(Path(__file__).parents[2] / "examples/definitions/bpi2012.yaml"))
    result = desireline("journeys", "ada")
    assert result.exit_code == 1
    assert "set DESIRELINE_DEFINITIONS to the worker's file" in result.stderr


# --- funnel -----------------------------------------------------------------------------------------------------------


def test_the_funnel_counts_each_journey_once_per_stage(shop: ClickHouseSettings) -> None:
    stages = {stage["name"]: stage for stage in json.loads(said("funnel", "--json"))["stages"]}
    assert list(stages) == [stage.name for stage in DEFINITIONS[0].stages]
    decision = stages["decision"]
    assert {key: decision[key] for key in ("entered", "moved_on", "dropped_off", "still_open", "decided")} == {
        "entered": 3, "moved_on": 1, "dropped_off": 2, "still_open": 0, "decided": 3,
    }  # fmt: skip
    assert decision["drop_off_rate"] == pytest.approx(2 / 3)
    assert (stages["consideration"]["recovered"], stages["purchase"]["entered"]) == (1, 1)
    assert stages["consideration"]["median_stay_seconds"] == pytest.approx(89 * 3_600)
    assert stages["awareness"]["drop_off_rate"] is None
    row = next(line for line in said("funnel").splitlines() if line.startswith("decision"))
    assert "66.7 %" in row


def test_the_funnel_of_one_channel_and_of_the_last_days(shop: ClickHouseSettings) -> None:
    of_store = {
        stage["name"]: stage["entered"]
        for stage in json.loads(said("funnel", "--json", "--channel", "store"))["stages"]
    }
    assert (of_store["research"], of_store["decision"]) == (0, 1)
    recent = desireline("funnel", "--since", "1m")
    assert (recent.exit_code, "within 1m" in recent.stderr) == (1, True)
    wrong = desireline("funnel", "--definition", "nothing")
    assert (wrong.exit_code, "choose purchase" in wrong.stderr) == (1, True)


def test_before_the_first_journey_it_says_so(addressed: ClickHouseSettings) -> None:
    assert "no journey definition is known yet" in desireline("funnel").stderr


# --- sql --------------------------------------------------------------------------------------------------------------


def test_sql_is_tab_separated_and_takes_its_query_from_everywhere(shop: ClickHouseSettings, tmp_path: Path) -> None:
    query = "SELECT name, count() AS times FROM v_touchpoints GROUP BY name ORDER BY name LIMIT 2;"
    file = tmp_path / "query.sql"
    file.write_text(query)
    expected = "menu_viewed\t2\npaid\t1\n"
    assert (
        said("sql", query)
        == said("sql", "-f", str(file))
        == said("sql", stdin=query)
        == said("sql", "-", stdin=query)
        == expected
    )
    assert said("sql", query, "--header") == "name\ttimes\n" + expected
    assert said("sql", query, "--format", "csv") == '"menu_viewed",2\n"paid",1\n'
    assert [json.loads(line) for line in said("sql", query, "--format", "json").splitlines()] == [
        {"name": "menu_viewed", "times": 2}, {"name": "paid", "times": 1},
    ]  # fmt: skip
    assert "┌─name" in said("sql", query, "--format", "pretty")
    assert said("sql", "SELECT 1 FORMAT JSONCompactEachRow") == "[1]\n"


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("SELEC 1", "Syntax error"),
        ("SELECT * FROM v_nothing", "SHOW TABLES"),
        ("SELECT throwIf(number = 90000) FROM numbers(100000)", "throwIf"),
        ("INSERT INTO stages (definition) VALUES ('x')", "readonly"),
        ("DROP TABLE journeys", "only reads"),
        (" ", "the query is empty"),
    ],
)
def test_a_query_that_cannot_be_answered_is_one_line_and_no_half_result(
    shop: ClickHouseSettings, query: str, answer: str
) -> None:
    result = desireline("sql", query)
    assert (result.exit_code, result.stdout) == (1, "")
    assert answer in result.stderr
    assert result.stderr.count("\n") == 1
    assert "Stack trace" not in result.stderr


# --- digest, watch ----------------------------------------------------------------------------------------------------


def test_digests_tell_contents_apart(shop: ClickHouseSettings) -> None:
    at = ("--as-of", "2026-09-01T00:00:00Z")
    before = {table: said("digest", table, *at) for table in ("touchpoints", "journeys", "outcomes")}
    assert len({*before.values()}) == 3
    assert all(len(number.strip()) == 64 for number in before.values())
    fill(shop)
    assert {table: said("digest", table, *at) for table in before} == before
    wrong = desireline("digest", "nothing")
    assert (wrong.exit_code, "choose one of touchpoints" in wrong.stderr) == (1, True)


def test_one_picture_of_everything(shop: ClickHouseSettings, kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", kafka.bootstrap)
    create_topics(KafkaSettings(), [TopicSpec(topic.name, 4, topic.config) for topic in TOPICS])
    text = said("watch", "--once")
    assert "purchase  3 journeys" in text
    assert "0 refused" in text
    assert next(line for line in text.splitlines() if line.startswith("decision")).split()[-4:] == [
        "66.7",
        "%",
        "0",
        "0",
    ]
    assert "cleo waiting (store)" in text
    assert "2 seated → waiting" in text


# --- servers that are not there ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("journeys", "42"),
        ("funnel",),
        ("sql", "SELECT 1"),
        ("digest", "journeys"),
        ("watch", "--once"),
        ("ledger",),
        ("person", "42"),
        ("identifiers", "review"),
        ("identifiers", "block", "customer_id:42"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_without_a_server_there_is_one_line_that_helps(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    port = free_port()
    monkeypatch.setenv("CLICKHOUSE_URL", f"http://127.0.0.1:{port}/desireline")
    monkeypatch.setenv("CLICKHOUSE_NATIVE_PORT", str(port))
    monkeypatch.setenv("KAFKA_BOOTSTRAP", f"127.0.0.1:{port}")
    monkeypatch.setenv("DESIRELINE_HOME", str(tmp_path))
    done = subprocess.run([sys.executable, "-m", "cli", *arguments], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"127.0.0.1:{port}" in done.stderr
    assert "desireline up" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_database_without_tables_says_how_to_make_them(
    empty_database: ClickHouseSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CLICKHOUSE_URL", empty_database.url)
    monkeypatch.setenv("CLICKHOUSE_NATIVE_PORT", str(empty_database.native_port))
    monkeypatch.setenv("DESIRELINE_HOME", str(tmp_path))
    for arguments in (("funnel",), ("sql", "SELECT * FROM v_journeys"), ("journeys", "42")):
        result = desireline(*arguments)
        assert (result.exit_code, "sinks.migrate" in result.stderr) == (1, True), result.output
