"""Looking customers up, with the dashboard as a process and a real ClickHouse: answers, refusals, what changes meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import pytest
from typer.testing import CliRunner

from cli.main import app
from deploy.local.ports import free_port
from runtime.settings import ClickHouseSettings
from schemas.codec import encode
from schemas.definition import Rules, load_definitions
from schemas.person import Assigned, FoldRecord, Identity
from sinks.generations import swap
from sinks.migrate import migrate
from sinks.reader import connect
from sinks.stages import stage_lines
from tests.asking import Answer, ask, wait_for
from tests.conftest import ClickHouse
from tests.integration.conftest import Tables
from tests.sink_records import identifier, touchpoint

pytestmark = pytest.mark.integration
DEFINITIONS = load_definitions()
RULES = Rules(DEFINITIONS)
MINUTE = 60_000
NOW = time.time_ns() // 1_000_000
RATE = 40
MOST = 50
KEYS = {"crm": "key-of-the-crm", "hasty": "key-of-the-hasty"}
ADA, BOB, KIOSK, TWINS = (identifier("person", number) for number in range(4))


@dataclass
class Dashboard:
    """A dashboard process and what it reads from."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path
    tables: Tables

    def request(self, method: str, path: str, body: bytes | None = None, key: str | None = "crm") -> Answer:
        headers = {} if key is None else {"Authorization": f"Bearer {KEYS.get(key, key)}"}
        return ask(self.port, method, path, body, headers)

    def lookup(self, identifier: str, key: str = "crm", **more: Any) -> Answer:
        return self.request("POST", "/v1/people/lookup", json.dumps({"identifier": identifier, **more}).encode(), key)

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.request("GET", "/readyz").status == 200
        except OSError:
            return False


def assigned(person: UUID, number: int, at: int, name: str, move: int = 0, **more: Any) -> bytes:
    record = FoldRecord(at=at, channel="web", name=name, rules=RULES.of("web", name, {}), **more)
    return encode(Assigned(person.hex, identifier("event", number).hex, 0, move, at, record))


def owner(name: str, person: UUID, own: UUID | None = None, version: int = 1, *, shared: bool = False) -> bytes:
    return encode(Identity(name, person.hex, (own or person).hex, NOW, version, shared))


def fill(tables: Tables) -> None:
    """Ada is about to buy; Bob was seen on her phone before; a kiosk is nobody's; the twins share an address."""
    tables.write("people", [
        assigned(ADA, 1, NOW - 30 * MINUTE, "menu_viewed"),
        assigned(ADA, 2, NOW - 20 * MINUTE, "reservation_started", feedback="ces", score=2),
        assigned(BOB, 3, NOW - 10 * MINUTE, "menu_viewed"),
        *(assigned(KIOSK, 100 + n, NOW - n, "menu_viewed") for n in range(MOST + 1)),
    ])  # fmt: skip
    who = {"identifiers": {"customer_id": "ada", "email": "ada@example.org"}}
    text = {"feedback": {"kind": "ces", "score": 2, "text": "¡Qué lento!"}}
    facts = [touchpoint(n, event_id=str(identifier("event", n)), **who, **(text if n == 2 else {})) for n in (1, 2)]
    tables.write("touchpoints", facts)
    tables.write("identities", [
        owner("customer_id:ada", ADA),
        owner("email:ada@example.org", ADA, identifier("own", 1)),
        owner("phone:+525512345678", BOB, identifier("own", 2), 1),
        owner("phone:+525512345678", ADA, identifier("own", 2), 2),
        owner("customer_id:bob", BOB),
        owner("anonymous_id:kiosk", KIOSK),
        owner("anonymous_id:lonely", TWINS),
        owner("email:info@example.org", TWINS, shared=True),
        owner("customer_id:7", ADA),
        owner("loyalty_id:7", BOB),
    ])  # fmt: skip


@pytest.fixture(scope="module")
def dashboard(clickhouse: ClickHouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    address = urlunsplit(urlsplit(clickhouse.url)._replace(path=f"/lookup_{token_hex(4)}"))
    settings = ClickHouseSettings(url=address, native_port=clickhouse.native_port)
    migrate(settings)
    tables = Tables(settings)
    port, log = free_port(), tmp_path_factory.mktemp("dashboard") / "log"
    environment = {
        "CLICKHOUSE_URL": address,
        "CLICKHOUSE_NATIVE_PORT": str(clickhouse.native_port),
        "DESIRELINE_DASHBOARD_PORT": str(port),
        "DESIRELINE_READ_KEYS": ",".join(f"{reader}={key}" for reader, key in KEYS.items()),
        "DESIRELINE_READ_RATE": str(RATE),
        "DESIRELINE_MAX_TOUCHPOINTS": str(MOST),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dashboard.app"], stdout=output, stderr=output, env=os.environ | environment
        )
    found = Dashboard(port, process, log, tables)
    try:
        wait_for(lambda: "stages of nothing are stored" in log.read_text(), 30, "it says that the sink has not begun")
        assert not found.is_ready()
        tables.writer.write("stages", stage_lines(DEFINITIONS))
        fill(tables)
        wait_for(found.is_ready, 30, "ready")
        yield found
    finally:
        process.kill()
        process.wait()
        tables.writer.close()
        with connect(settings, database="") as client:
            client.execute(f"DROP DATABASE IF EXISTS {settings.database}")


@pytest.mark.parametrize(
    ("given", "identifier", "by"),
    [
        ("customer_id:ada", "customer_id:ada", "name"),
        ("ada", "customer_id:ada", "name"),
        (" Ada@Example.ORG", "email:ada@example.org", "name"),
        ("phone:0052 55 1234 5678", "phone:+525512345678", "last_seen_on"),
        (str(ADA), None, "person_id"),
    ],
)
def test_a_customer_is_found_by_any_identifier(dashboard: Dashboard, given: str, identifier: str, by: str) -> None:
    status, _, said = dashboard.lookup(given)
    assert (status, said["identifier"], said["found_by"], said["person_id"]) == (200, identifier, by, str(ADA))
    assert ("others may have used it before" in said.get("note", "")) == (by == "last_seen_on")
    (journey,) = said["open_journeys"]
    assert (journey["definition"], journey["status"], journey["stage"]) == ("purchase", "open", "consideration")
    assert said["next_deadline"]["at"] == journey["due_at"]
    assert [one["name"] for one in said["last_touchpoints"]] == ["reservation_started", "menu_viewed"]
    assert said["feedback"][0]["feedback"] == {"kind": "ces", "score": 2, "sentiment": None, "text": "¡Qué lento!"}


def test_the_command_says_the_same(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLICKHOUSE_URL", dashboard.tables.settings.url)
    monkeypatch.setenv("CLICKHOUSE_NATIVE_PORT", str(dashboard.tables.settings.native_port))
    monkeypatch.setenv("DESIRELINE_HOME", str(tmp_path))
    said = CliRunner().invoke(app, ["lookup", "ada@example.org", "--touchpoints", "1", "--json"])
    assert said.exit_code == 0, said.output
    answered = dashboard.lookup("ada", touchpoints=1).content
    left_out = {"as_of", "identifier", "found_by"}
    assert {k: v for k, v in json.loads(said.stdout).items() if k not in left_out} == {
        k: v for k, v in answered.items() if k not in left_out
    }
    lines = CliRunner().invoke(app, ["lookup", "ada"]).stdout.splitlines()
    assert lines[0] == "customer_id:ada  ·  email:ada@example.org"
    assert any(
        "purchase" in line and "● open" in line and "consideration" in line and "drops off" in line for line in lines
    )
    assert any("ces 2" in line and "“¡Qué lento!”" in line for line in lines)
    nobody = CliRunner().invoke(app, ["lookup", "nobody@example.org"])
    assert (nobody.exit_code, "nobody is known as nobody@example.org" in nobody.stderr) == (1, True)


@pytest.mark.parametrize(
    ("given", "status", "error", "helps"),
    [
        ("nobody@example.org", 404, "unknown", "was never sent, or who had it was erased"),
        (str(UUID(int=5)), 404, "unknown", "was never sent"),
        ("anonymous_id:lonely", 404, "unknown", "was never sent"),
        ("email:info@example.org", 404, "shared", "use another one"),
        ("7", 409, "ambiguous", "customer_id:7, loyalty_id:7"),
        ("anonymous_id:kiosk", 422, "too_many", "more than 50 touchpoints"),
        ("", 400, "invalid", "$.identifier"),
        ("x" * 1_001, 400, "invalid", "$.identifier"),
        ("x" * 20_000, 413, "too_large", "send one identifier"),
    ],
)
def test_who_is_not_found_is_said_with_what_helps(
    dashboard: Dashboard, given: str, status: int, error: str, helps: str
) -> None:
    answer = dashboard.lookup(given)
    assert (answer.status, answer.content["error"]) == (status, error)
    assert helps in answer.content["message"]


@pytest.mark.parametrize(
    ("body", "error"),
    [(b"", "malformed_json"), (b"{", "malformed_json"), (b"[]", "invalid"), (b'{"identifier": 7}', "invalid"),
     (b'{"identifier": "ada", "kind": "email"}', "invalid"), (b'{"identifier": "ada", "touchpoints": 101}', "invalid"),
     (b'{"identifier": "\xff"}', "malformed_json")],
)  # fmt: skip
def test_a_body_that_is_no_question_is_told_what_one_is(dashboard: Dashboard, body: bytes, error: str) -> None:
    answer = dashboard.request("POST", "/v1/people/lookup", body)
    assert (answer.status, answer.content["error"]) == (400, error)
    assert '{"identifier": "email:ada@example.com"}' in answer.content["message"]


def test_without_a_read_key_nothing_is_said(dashboard: Dashboard) -> None:
    body = b'{"identifier": "ada"}'
    for key in (None, "", "web-key-12345678"):
        answer = dashboard.request("POST", "/v1/people/lookup", body, key=key)
        assert (answer.status, answer.content["error"]) == (401, "unknown_key")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert dashboard.request("POST", f"/v1/people/lookup?key={KEYS['crm']}", body, key=None).status == 401, (
        "never in a URL"
    )
    assert dashboard.request("GET", "/v1/people/lookup").status == 405
    assert dashboard.request("GET", "/v1/people").content == {"error": "not_found"}


def test_who_asks_too_often_is_told_when_to_ask_again_and_nobody_else_is(dashboard: Dashboard) -> None:
    answers = [dashboard.lookup("ada", key="hasty")]
    while answers[-1].status == 200:
        assert len(answers) < 100 * RATE
        answers.append(dashboard.lookup("ada", key="hasty"))
    assert len(answers) > RATE
    assert (answers[-1].status, answers[-1].content["error"]) == (429, "too_often")
    assert answers[-1].headers["retry-after"] == "1"
    assert dashboard.lookup("ada").status == 200
    metrics = dashboard.request("GET", "/metrics").content
    assert 'desireline_lookup_requests_total{reader="hasty",status="429"}' in metrics
    assert "desireline_lookup_ready 1.0" in metrics


def test_what_moves_is_seen_before_any_merge_and_a_new_generation_within_seconds(dashboard: Dashboard) -> None:
    tables, cleo, dora = dashboard.tables, identifier("person", 10), identifier("person", 11)
    tables.write("people", [assigned(cleo, 20, NOW - MINUTE, "menu_viewed")], first_offset=1_000)
    tables.write("identities", [owner("customer_id:cleo", cleo, version=1)], first_offset=1_000)
    assert dashboard.lookup("cleo").content["person_id"] == str(cleo)
    gone = encode(Assigned(cleo.hex, identifier("event", 20).hex, 0, 1, NOW, None, "merge"))
    tables.write("people", [gone, assigned(dora, 20, NOW - MINUTE, "menu_viewed", 1)], first_offset=1_001)
    assert dashboard.lookup("cleo").status == 404
    tables.write("identities", [owner("customer_id:cleo", dora, cleo, version=2)], first_offset=1_001)
    said = dashboard.lookup("cleo").content
    assert (said["person_id"], said["touchpoints"]) == (str(dora), 1)

    tables.writer.write("stages", stage_lines(DEFINITIONS, 2))
    tables.write("people.g2", [assigned(cleo, 20, NOW - MINUTE, "menu_viewed")], first_offset=1_003)
    tables.write("identities.g2", [owner("customer_id:cleo", cleo)], first_offset=1_003)
    with connect(tables.settings) as client:
        swap(client, 2)
        wait_for(lambda: dashboard.lookup("cleo").content.get("person_id") == str(cleo), 10, "the new generation")
        swap(client, 1)
        wait_for(lambda: dashboard.lookup("ada").status == 200, 10, "the old one")


def test_while_clickhouse_is_away_it_says_so_and_it_comes_back(dashboard: Dashboard, clickhouse: ClickHouse) -> None:
    clickhouse.kill()
    try:
        answer = dashboard.lookup("ada")
        assert (answer.status, answer.content["error"], answer.headers["retry-after"]) == (503, "not_ready", "2")
        assert "ClickHouse does not answer" in answer.content["message"]
        wait_for(lambda: not dashboard.is_ready(), 10, "it is not ready")
        assert dashboard.request("GET", "/healthz").status == 200
    finally:
        clickhouse.start()
    wait_for(lambda: dashboard.lookup("ada").status == 200, 10, "it answers again")


def test_it_ends_in_good_order_and_has_logged_nobody(dashboard: Dashboard) -> None:
    dashboard.process.send_signal(signal.SIGTERM)
    assert dashboard.process.wait(10) == 0
    log = dashboard.log.read_text()
    assert "dashboard_stopped" in log
    assert "ada" not in log


def test_a_setting_that_is_wrong_is_said_before_anything_starts() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "DESIRELINE_READ_KEYS"}
    for wrong, why in (({}, "read_keys"), ({"DESIRELINE_READ_KEYS": "crm=short"}, "entry 1 is not reader=key")):
        done = subprocess.run(
            [sys.executable, "-m", "dashboard.app"], env=environment | wrong, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 1
        assert why in done.stderr.lower()
        assert "Traceback" not in done.stderr
