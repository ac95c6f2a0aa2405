"""`desireline verify` on a whole line: nothing differs, and whatever is then changed behind its back is found and named."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from cli.common import now
from ingest.accept import Accepted, accept
from ingest.simulator.scenario import Scenario
from ingest.simulator.simulation import simulate
from ingest.source import Source
from processors.settings import WorkerSettings
from schemas.definition import DEFAULT_FILE, load_definitions
from schemas.identity import load_kinds
from schemas.topics import TOUCHPOINTS
from sinks.reader import connect, reader
from sinks.verify import live
from sinks.verify.cut import Ordered
from sinks.verify.erased import Erased
from sinks.verify.expect import Configuration
from sinks.verify.run import Wanted, verify
from tests.line import Line
from tests.sender import Sender, batches

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

FUNNEL_KEY = "(definition, toUnixTimestamp(hour), entry_channel, stage)"
SOURCE = "vivan_los_tacos"
MINUTE, DAY = 60_000, 86_400_000
MARCH = 1_772_323_200_000 - 180 * DAY


def simulated() -> list[dict[str, Any]]:
    """Guests who sign in, some on shared devices, some corrected, late or twice; and guests who never say who they are."""
    known = Scenario(seed=1, customers=30, signed_in=True, duplicates=0.1, late=0.1, corrections=0.2)
    anonymous = Scenario(seed=2, customers=30, duplicates=0.1, late=0.1, corrections=0.2, shared_devices=0.3)
    return [json.loads(sent.touchpoint) for scenario in (known, anonymous) for sent in simulate(scenario)]


def by_hand() -> list[dict[str, Any]]:
    """Names that link, a device that two people use, a phone beside it, calls that turn out to be somebody else's."""
    names = ("menu_viewed", "reservation_started", "seated", "paid", "survey_answered", "something_else")
    found = []
    for number in range(120):
        tablet = {"anonymous_id": f"tablet-{number % 5}"}
        signed_in = {"customer_id": f"c{number % 7}"} if number % 4 == 0 else {}
        called = {"phone": f"+4930123456{number % 6}"} if number % 9 == 0 else {}
        mail = {"email": f"c{number % 7}@example.org"} if number % 8 == 0 else {}
        at = MARCH + number * 37 * MINUTE
        found.append(
            touchpoint(f"hand-{number}", names[number % 6], at, {**tablet, **signed_in, **called, **mail})
            | ({"feedback": {"kind": "nps", "score": number % 11}} if number % 6 == 4 else {})
            | ({"value": {"amount": 1250 + number, "currency": "MXN"}} if number % 6 == 3 else {})
        )
    for number in range(20):
        for revision in (1, 2):
            who = {"phone": f"+4930123456{(number + revision) % 6}"} | (
                {"customer_id": f"c{number % 9}"} if revision == 2 else {}
            )
            found.append(
                touchpoint(f"call-{number}", "seated", MARCH + number * DAY, who, channel="call_center")
                | {"revision": revision, "retracted": number % 7 == 6 and revision == 2}
            )
    return found


def touchpoint(ident: str, name: str, at: int, identifiers: dict[str, str], channel: str = "web") -> dict[str, Any]:
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at // 1000))
    return {"event_id": ident, "name": name, "channel": channel, "occurred_at": moment, "identifiers": identifiers}


def verified(line: Line, *arguments: str, **environment: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, what it says as JSON, and what it complains of."""
    command = [sys.executable, "-m", "cli", "verify", "--json", "--limit", "1000", *arguments]
    done = subprocess.run(
        command, env=os.environ | line.environment | environment, capture_output=True, text=True, timeout=300
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


def refreshed(line: Line) -> None:
    """Wait until all figures are those of the rows."""
    deadline = time.monotonic() + 90
    with reader(line.clickhouse) as clickhouse:
        while live.moving(clickhouse, live.server_time(clickhouse)):
            assert time.monotonic() < deadline, "the rollups are not refreshed"
            time.sleep(0.5)


def test_verify_finds_nothing_and_then_everything(tmp_path: Path) -> None:
    environment = {"sink": {"DESIRELINE_SINK_REFRESH_SECONDS": "0.5"}}
    with Line(tmp_path, source=SOURCE, environment=environment) as line:
        Sender(line.url, line.write_key, batches([*simulated(), *by_hand()], 20)).start().wait(60)
        line.cli("identifiers", "block", "customer_id:c3")
        line.cli("identifiers", "block", "anonymous_id:tablet-2")
        line.settle(120)
        refreshed(line)

        code, said, complaint = verified(line)
        assert (code, said.get("differences"), said.get("behind")) == (0, [], ""), (
            complaint,
            str(said.get("differences"))[:3000],
        )
        compared = said["compared"]
        assert compared["person_touchpoints"] == line.rows("SELECT count() FROM touchpoints FINAL")[0][0] > 300
        assert compared["journeys"] == line.rows("SELECT count() FROM journeys FINAL")[0][0] > 50
        assert compared["rollup_funnel"] > 10
        assert compared["rollup_transitions"] > 10
        assert compared["rollup_touchpoints"] > 10
        assert "figures not compared" not in compared

        assert "0 differences" in line.cli("verify", "--sample", "5")
        code, said, complaint = verified(line, "--sample", "5")
        assert (code, said["compared"]["people"]) == (0, 5), complaint

        code, _, complaint = verified(line, DESIRELINE_SECRET="another")
        assert code == 2
        assert "DESIRELINE_SECRET" in complaint
        definitions = tmp_path / "other.yaml"
        definitions.write_text(DEFAULT_FILE.read_text().replace("patience: 7d", "patience: 6d"))
        code, _, complaint = verified(line, DESIRELINE_DEFINITIONS=str(definitions))
        assert code == 2
        assert "DESIRELINE_DEFINITIONS" in complaint
        assert verified(line, KAFKA_BOOTSTRAP="127.0.0.1:1")[0] == 2

        what_heals_is_no_difference(line)
        who_is_erased_is_expected_nowhere(line)

        tampered = tamper(line)
        code, said, complaint = verified(line)
        found = {(one["table"], one["key"], one["what"], one["column"]) for one in said["differences"]}
        assert found == tampered, complaint
        assert {one["cause"] for one in said["differences"]} == {"unexplained"}
        assert code == 1


def who_is_erased_is_expected_nowhere(line: Line) -> None:
    """Two customers whose devices others use too; then what is theirs comes late, past the collector, and stays stored."""
    before = line.rows("SELECT count() FROM touchpoints FINAL")[0][0]
    line.forget_quickly()
    line.cli("erase", "customer_id:c1", "customer_id:c5", "--yes")
    late = [
        touchpoint(f"late-{number}", "paid", MARCH + number * 37 * MINUTE, who)
        for number, who in enumerate(
            ({"customer_id": "c1"}, {"anonymous_id": "tablet-1", "customer_id": "c5"}, {"anonymous_id": "tablet-1"})
        )
    ]
    slipped = [accept(json.dumps(one).encode(), Source(SOURCE), now()) for one in late]
    asyncio.run(written(line, [one for one in slipped if isinstance(one, Accepted)]))
    line.settle(120)
    refreshed(line)
    stored = "SELECT count() FROM touchpoints FINAL WHERE identifiers['customer_id'] IN ('c1', 'c5')"
    assert line.rows(stored) == [(2,)]
    assert line.rows("SELECT count() FROM touchpoints FINAL")[0][0] < before
    code, said, complaint = verified(line)
    assert (code, said.get("differences"), said.get("behind")) == (0, [], ""), (complaint, str(said)[:3000])


async def written(line: Line, records: list[Accepted]) -> None:
    async with AIOKafkaProducer(**line.kafka.client()) as producer:
        for key, value in records:
            await producer.send_and_wait(TOUCHPOINTS.name, value, key=key)


def what_heals_is_no_difference(line: Line) -> None:
    """A journey that is wrong at the first look and right at the second has changed since; one that stays wrong is told."""
    settings = WorkerSettings()
    secret = settings.secret.get_secret_value().encode()
    configuration = Configuration(load_definitions(), load_kinds(), secret, settings.max_touchpoints)
    ordered = Ordered(frozenset({"customer_id:c3", "anonymous_id:tablet-2"}), Erased())
    (ident,) = line.rows("SELECT toString(journey_id) FROM journeys FINAL ORDER BY last_at DESC LIMIT 1")[0]
    waits = 0

    def write(column: str, by: int) -> None:
        with connect(line.clickhouse) as client:
            client.execute(
                f"INSERT INTO journeys SELECT * REPLACE ({column} + {by} AS {column}, version + 1 AS version) "
                f"FROM (SELECT * FROM journeys FINAL WHERE journey_id = '{ident}')"
            )

    def wait(heal_at: int) -> Ordered:
        nonlocal waits
        waits += 1
        if waits == heal_at:
            write("touchpoints", -1)
        return ordered

    with reader(line.clickhouse) as clickhouse:
        for heal_at, looks, healed, told in ((2, 2, 1, []), (9, 2, 0, ["touchpoints"])):
            write("touchpoints", 1)
            waits = 0
            found = verify(clickhouse, configuration, Wanted(), now, partial(wait, heal_at), lambda what, count: None)
            assert (found.looks, found.healed, [one.column for one in found.differences]) == (looks, healed, told)
    write("touchpoints", -1)


def tamper(line: Line) -> set[tuple[str, str, str, str]]:
    """Change rows behind the line's back; what verify must say of it: table, key, what, column."""
    ids = "SELECT lower(hex(UUIDToNum(journey_id))) FROM journeys FINAL ORDER BY journey_id LIMIT 3"
    deleted, doubled, altered = (ident for (ident,) in line.rows(ids))
    event = line.rows("SELECT lower(hex(UUIDToNum(event_id))) FROM person_touchpoints FINAL ORDER BY event_id LIMIT 1")[
        0
    ][0]
    identifier = line.rows("SELECT identifier FROM identities FINAL WHERE identifier LIKE 'customer_id:c%' LIMIT 1")[0][
        0
    ]
    group = line.rows(f"SELECT {FUNNEL_KEY} FROM rollup_funnel FINAL WHERE entered > 0 LIMIT 1")[0][0]
    new = "11111111222233334444555555555555"
    changes = (
        ("journeys", f"journey_id = '{doubled}'", f"toUUID('{new}') AS journey_id"),
        ("journeys", f"journey_id = '{altered}'", "touchpoints + 1 AS touchpoints, version + 1 AS version"),
        ("person_touchpoints", f"event_id = '{event}'", f"toUUID('{new}') AS person_id"),
        (
            "person_touchpoints",
            f"event_id = '{event}' AND person_id != '{new}'",
            "1 AS is_deleted, version + 1 AS version",
        ),
        ("identities", f"identifier = '{identifier}'", f"toUUID('{new}') AS person_id, version + 1 AS version"),
        ("rollup_funnel", f"{FUNNEL_KEY} = {group}", "entered + 1 AS entered, version + 1 AS version"),
    )
    with connect(line.clickhouse, mutations_sync=2) as client:
        client.execute(f"ALTER TABLE journeys DELETE WHERE journey_id = '{deleted}'")
        for table, which, change in changes:
            rows = f"SELECT * FROM {table} FINAL WHERE {which}"
            client.execute(f"INSERT INTO {table} SELECT * REPLACE ({change}) FROM ({rows})")
    return {
        ("journeys", deleted, "missing", ""),
        ("journeys", new, "extra", ""),
        ("journeys", altered, "differs", "touchpoints"),
        ("person_touchpoints", event, "differs", "person_id"),
        ("identities", identifier, "differs", "person_id"),
        ("rollup_funnel", "/".join(map(str, group)), "differs", "entered"),
    }
