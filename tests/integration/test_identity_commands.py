"""`desireline ledger`, `person` and `identifiers` on real servers: what they say about known rows, what an order becomes."""

from __future__ import annotations

import asyncio
import getpass
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from deploy.local.ports import free_port
from runtime.kafka import TopicSpec, create_topics, partition_of, read_topic
from runtime.settings import KafkaSettings
from schemas.codec import encode
from schemas.messages import Block
from schemas.person import Identity
from schemas.topics import COMMANDS, TOPICS
from tests.conftest import Kafka
from tests.integration.conftest import Tables
from tests.sink_records import HOUR, MARCH, assigned, counted, identifier, touchpoint

pytestmark = pytest.mark.integration
ADA, OLD, TILL, CROWD = (identifier("person", number) for number in range(4))


@pytest.fixture
def shop(tables: Tables, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tables:
    """The commands find the database of this test, and no stack of anybody's."""
    monkeypatch.setenv("CLICKHOUSE_URL", tables.settings.url)
    monkeypatch.setenv("CLICKHOUSE_NATIVE_PORT", str(tables.settings.native_port))
    monkeypatch.setenv("KAFKA_BOOTSTRAP", f"127.0.0.1:{free_port()}")
    monkeypatch.setenv("DESIRELINE_HOME", str(tmp_path))
    return tables


def desireline(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def refused(*arguments: str) -> str:
    """The one sentence with which the command ends."""
    result = desireline(*arguments)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1), result.output
    return result.stderr


def whose(name: str, person: UUID, own: UUID | None = None, **more: Any) -> bytes:
    return encode(Identity(name, person.hex, (own or person).hex, MARCH, 1, **more))


# --- ledger -----------------------------------------------------------------------------------------------------------


def test_a_complete_ledger_is_a_success(shop: Tables) -> None:
    assert desireline("ledger").stdout == "nothing has arrived\n"
    shop.write("ledger", [counted({"stored": 7, "duplicate": 1}), counted({"stored": 2}, source="till")])
    result = desireline("ledger")
    assert (result.exit_code, result.stderr) == (0, "")
    assert [line.split()[:4] for line in result.stdout.splitlines()[1:]] == [
        ["2026-03-01", "00:00", "shop", "8"], ["2026-03-01", "00:00", "till", "2"], ["total", "10", "9", "0"],
    ]  # fmt: skip


def test_what_is_missing_fails_and_says_whose(shop: Tables) -> None:
    shop.write("touchpoints", [touchpoint(1, sequence=2), touchpoint(2, sequence=0, source="till")], at=MARCH + HOUR)
    shop.write("ledger", [counted({"stored": 1}, hour=MARCH + HOUR), counted({"stored": 1}, source="till")])
    assert "2 touchpoints are missing (shop 2)" in refused("ledger")
    assert desireline("ledger", "--source", "till").exit_code == 0
    assert desireline("ledger", "--since", "2026-03-01T02:00:00Z").exit_code == 0
    found = desireline("ledger", "--json", "--since", "2026-03-01T01:59:00Z")  # of the hour that it falls into
    assert found.exit_code == 1
    told = json.loads(found.stdout)
    assert [hour["source"] for hour in told["hours"]] == ["shop"]
    assert {name: count for name, count in told["total"].items() if count} == {"sent": 3, "stored": 1, "missing": 2}
    assert "write for example 2026-11-24T10:00:00Z" in refused("ledger", "--since", "yesterday")


# --- person -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def ada(shop: Tables) -> Tables:
    """On her device without a name, then with her number, then with number and address, which had been another's until then."""
    who: tuple[dict[str, str], ...] = (
        {"anonymous_id": "a-1"},
        {"anonymous_id": "a-1", "customer_id": "ada"},
        {"customer_id": "ada", "email": "ada@example.org"},
        {"email": "ada@example.org"},
    )
    shop.write("touchpoints", [touchpoint(n, identifiers=one, sequence=n, stream="s") for n, one in enumerate(who)])
    shop.write("identities", [
        whose("customer_id:ada", ADA), whose("email:ada@example.org", ADA, OLD),
        whose("anonymous_id:a-1", ADA, identifier("person", 9)),
    ])  # fmt: skip
    shop.write("people", [
        *(assigned(n, person=0) for n in (1, 2)),
        assigned(0, person=9), assigned(0, person=9, gone=True, move=1, cause="named"),
        assigned(0, person=0, move=1, cause="named"),
        assigned(3, person=1), assigned(3, person=1, gone=True, move=1, cause="merge"),
        assigned(3, person=0, move=1, cause="merge"),
    ])  # fmt: skip
    return shop


@pytest.mark.parametrize("id", ["ada", "email:Ada@example.org", "anonymous_id:a-1", str(ADA), str(OLD)])
def test_a_customer_is_found_by_whatever_they_are_or_were_called(ada: Tables, id: str) -> None:
    told = json.loads(desireline("person", id, "--json").stdout)
    assert told["person_id"] == str(ADA)
    assert [(one["identifier"], one["touchpoints"]) for one in told["identifiers"]] == [
        ("customer_id:ada", 2), ("email:ada@example.org", 2),
    ]  # fmt: skip
    assert [one["identifier"] for one in told["devices"]] == ["anonymous_id:a-1"]
    assert sorted(told["former_person_ids"]) == sorted([str(OLD), str(identifier("person", 9))])
    (link,) = told["links"]
    assert (link["event_id"], link["source"]) == (str(identifier("event", 2)), "shop")
    assert [(move["event_id"], move["cause"], move["to_person_id"], move["name"]) for move in told["moves"]] == [
        (str(identifier("event", 0)), "named", str(ADA), "landing"),
        (str(identifier("event", 3)), "merge", str(ADA), "checkout"),
    ]
    assert told["restated"] == {"named": 1, "merge": 1}


def test_it_is_told_to_people_as_well_and_journeys_knows_former_ids(ada: Tables) -> None:
    told = desireline("person", "ada").stdout
    for part in ("identifiers\n", "devices\n", "linked by\n", "moved\n", "restated\n", f"from person {OLD}"):
        assert part in told
    assert "set DESIRELINE_DEFINITIONS" not in desireline("journeys", str(OLD), "--json").stderr


def test_who_was_emptied_still_says_where_everything_went(ada: Tables) -> None:
    """The device's own id, were it no former id of anybody: its touchpoint is Ada's."""
    ada.write(
        "identities", [msgspec.json.encode(msgspec.json.decode(whose("anonymous_id:a-1", TILL)) | {"version": 2})]
    )
    told = json.loads(desireline("person", str(identifier("person", 9)), "--json").stdout)
    assert (told["touchpoints"], told["moves"][0]["to_person_id"]) == (0, str(ADA))


def test_nobody_is_said_with_who_is_similar(ada: Tables) -> None:
    assert "did you mean customer_id:ada" in refused("person", "adb")
    assert "nobody is known as" in refused("person", str(UUID(int=77)))


# --- identifiers ------------------------------------------------------------------------------------------------------


def test_a_review_finds_what_links_too_much(shop: Tables) -> None:
    assert desireline("identifiers", "review").stdout.startswith("nothing to review")
    everyone = [touchpoint(n, identifiers={"customer_id": str(n), "email": "info@shop.example"}) for n in range(25)]
    family = [touchpoint(100 + n, identifiers={"loyalty_id": "family", "email": f"{n}@example.org"}) for n in range(60)]
    alone = touchpoint(200, identifiers={"email": "blocked@example.org", "anonymous_id": "a"})
    shop.write("touchpoints", [*everyone, *everyone, *family, alone])
    shop.write("identities", [
        whose("email:info@shop.example", TILL, shared=True), whose("email:blocked@example.org", OLD, shared=True),
        whose("loyalty_id:never-seen", ADA, shared=True),
        whose("loyalty_id:family", CROWD), *(whose(f"email:{n}@example.org", CROWD, OLD) for n in range(60)),
        *(whose(f"customer_id:{n}", identifier("person", 50 + n)) for n in range(25)),
    ])  # fmt: skip
    shop.write("people", [assigned(100 + n, person=3) for n in range(60)])
    told = json.loads(desireline("identifiers", "review", "--json").stdout)
    assert told["shared"] == [
        {"identifier": "email:info@shop.example", "partners": 25, "touchpoints": 25},
        {"identifier": "email:blocked@example.org", "partners": 0, "touchpoints": 1},
        {"identifier": "loyalty_id:never-seen", "partners": 0, "touchpoints": 0},
    ]
    ((large),) = told["people"]
    assert (large["person_id"], large["identifiers"], large["touchpoints"]) == (str(CROWD), 61, 60)
    assert large["most_linked"][0] == {"identifier": "loyalty_id:family", "partners": 60, "touchpoints": 60}
    assert len(large["most_linked"]) == 3
    text = desireline("identifiers", "review", "--limit", "1").stdout
    assert "email:info@shop.example        25           25  more than 20 partners" in text
    assert "never-seen" not in text


def test_an_order_reaches_the_partition_of_its_identifier(
    shop: Tables, own_kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", own_kafka.bootstrap)
    create_topics(KafkaSettings(), [TopicSpec(topic.name, 4, topic.config) for topic in TOPICS])
    said = desireline("identifiers", "block", "email:INFO@shop.example", "--reason", "the shop's own").stdout
    assert "blocked email:info@shop.example: within seconds it links and names nobody" in said
    assert "undo: desireline identifiers release 'email:info@shop.example'" in said
    assert "released anonymous_id:kiosk" in desireline("identifiers", "release", "anonymous_id:kiosk").stdout
    records = asyncio.run(read_topic(KafkaSettings(), COMMANDS.name))
    assert len(records) == 2
    found = {record.key: (record.partition, msgspec.json.decode(record.value or b"", type=Block)) for record in records}
    key, device = b"email:info@shop.example", b"anonymous_id:kiosk"
    assert found[key] == (
        partition_of(key, 4), Block("email:info@shop.example", True, getpass.getuser(), "the shop's own"),
    )  # fmt: skip
    assert found[device] == (partition_of(device, 4), Block("anonymous_id:kiosk", False, getpass.getuser(), ""))


def test_without_kafka_nothing_is_ordered(shop: Tables) -> None:
    assert "nothing was ordered, Kafka at 127.0.0.1:" in refused("identifiers", "block", "email:info@shop.example")
    assert "not a kind of identifier" in refused("identifiers", "release", "mail:info@shop.example")


def test_a_wrong_identity_file_is_one_sentence(shop: Tables, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DESIRELINE_IDENTITY", str(tmp_path / "none.yaml"))
    for arguments in (("person", "ada"), ("identifiers", "review"), ("identifiers", "block", "email:a@b.c")):
        assert "none.yaml: cannot be read" in refused(*arguments)
