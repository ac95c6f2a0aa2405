"""`desireline dead-letters` on real servers: what was refused is listed, shown, and after the fix sent again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from runtime.kafka import read_topic
from runtime.settings import ClickHouseSettings
from schemas.codec import decode_stored
from schemas.dead_letter import DeadLetter, dead_letter
from schemas.touchpoint import MAX_TOUCHPOINT_BYTES
from sinks.clickhouse import HttpWriter
from sinks.rows import lines_of
from tests.line import Line
from tests.sink_records import MARCH, FakeRecord

pytestmark = pytest.mark.integration


def desireline(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["dead-letters", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def said(*arguments: str) -> str:
    result = desireline(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def database_of_the_user(
    database: ClickHouseSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> ClickHouseSettings:
    """The commands find the database of this test, and no stack of anybody's."""
    monkeypatch.setenv("CLICKHOUSE_URL", database.url)
    monkeypatch.setenv("CLICKHOUSE_NATIVE_PORT", str(database.native_port))
    monkeypatch.setenv("DESIRELINE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DESIRELINE_WRITE_KEYS", raising=False)
    return database


def write(settings: ClickHouseSettings, *refused: DeadLetter, first_offset: int = 0) -> None:
    """As the sink does."""
    records = [
        FakeRecord("dead_letters", offset, msgspec.json.encode(letter))
        for offset, letter in enumerate(refused, first_offset)
    ]
    writer = HttpWriter(settings)
    try:
        writer.write("dead_letters", lines_of("dead_letters", records))
    finally:
        writer.close()


def id_of(letter: DeadLetter) -> str:
    return sha256(f"{letter.leg}\n{letter.address}\n{letter.sha256}".encode()).hexdigest()


def test_letters_are_listed_by_filter_and_shown_by_id(database_of_the_user: ClickHouseSettings) -> None:
    assert said("list") == "no dead letters\n"
    nobody = dead_letter(
        '{"channel": "web", "café": 1}'.encode(), source="web", leg="collector", reason="no_identifier",
        message="send one", address="7-1/0", at=MARCH, path="identifiers",
    )  # fmt: skip
    row = dead_letter(
        b"c7,visit,never", source="till", leg="import", reason="unmappable", message="'never' is not a time",
        address="rows.csv:9", at=MARCH + 1_000,
    )  # fmt: skip
    imported_again = msgspec.structs.replace(row, at=MARCH + 2_000)
    write(database_of_the_user, nobody, row, imported_again)

    first, second, last = said("list").splitlines()
    assert first.split()[:6] == [id_of(row)[:12], "2026-03-01T00:00:02.000Z", "till", "import", "unmappable", "–"]
    assert second.split()[:5] == [id_of(nobody)[:12], "2026-03-01T00:00:00.000Z", "web", "collector", "no_identifier"]
    assert last == "2 dead letters: no_identifier 1, unmappable 1"
    for filters in (
        ("--reason", "unmappable"), ("--source", "till"), ("--leg", "import"), ("--since", "2026-03-01T00:00:01Z"),
    ):  # fmt: skip
        assert [json.loads(line)["address"] for line in said("list", "--json", *filters).splitlines()] == ["rows.csv:9"]
    assert said("list", "--limit", "1").splitlines()[1] == "1 of 2 dead letters: no_identifier 1, unmappable 1"
    assert said("list", "--source", "'; DROP") == "no dead letters\n"

    shown = said("show", id_of(nobody)[:6])
    assert id_of(nobody) in shown
    assert "no_identifier: no identifier is left after normalisation" in shown
    assert '{\n  "channel": "web",\n  "café": 1\n}\n' in shown
    for wrong, sentence in (("0" * 12, "no dead letter has the id"), ("zz", "is not the id of a dead letter")):
        result = desireline("show", wrong)
        assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
        assert sentence in result.stderr
    assert "--since 'soon' is not a time" in desireline("list", "--since", "soon").stderr


class Till:
    """A line without workers, and the commands as its operator runs them, with settings that may be corrected."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.environment: dict[str, str] = {}

    def dead_letters(self, *arguments: str) -> tuple[int, list[str], str]:
        """Exit code, lines of standard output, standard error."""
        done = subprocess.run(
            [sys.executable, "-m", "cli", "dead-letters", *arguments],
            env=os.environ | self.line.environment | self.environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout.splitlines(), done.stderr

    def wait(self, sql: str, count: int) -> None:
        give_up = time.monotonic() + 60
        while (found := self.line.rows(sql)[0][0]) != count:
            assert time.monotonic() < give_up, f"{found}, not {count}: {sql}"
            time.sleep(0.1)


def paid(event_id: str, **changes: object) -> dict[str, object]:
    return {
        "channel": "store", "name": "paid", "event_id": event_id, "occurred_at": "2026-03-01T12:00:00",
        "identifiers": {"email": "Ada@example.org"},
    } | changes  # fmt: skip


def test_what_was_refused_is_sent_again_after_the_fix(tmp_path: Path) -> None:
    utc = "2026-03-01T12:00:00Z"
    refusals = [
        paid("no-zone"),
        paid("no-kind", occurred_at=utc, identifiers={"table": "4"}),
        paid("too-large", occurred_at=utc, properties={"text": "x" * MAX_TOUCHPOINT_BYTES}),
        {"channel": "store"},
    ]
    with Line(tmp_path, source="till", workers=0) as line:
        till = Till(line)
        line.post(json.dumps([paid("good", occurred_at=utc), *refusals]).encode())
        till.wait("SELECT count() FROM v_dead_letters", 4)

        # What the operator sees.
        code, listed, _ = till.dead_letters("list", "--source", "till")
        assert code == 0
        assert listed[-1] == "4 dead letters: invalid 2, too_large 1, unknown_identifier 1"
        id = next(row.split()[0] for row in listed if "occurred_at" in row)
        shown = "\n".join(till.dead_letters("show", id)[1])
        assert '  "event_id": "no-zone",' in shown
        assert "replay      still refused: invalid: occurred_at: " in shown
        code, said, _ = till.dead_letters("replay", id)
        assert (code, said[-1]) == (1, "1 dead letter: still refused 1")

        # The fixes: a zone for the source, a kind of identifier.
        till.environment["DESIRELINE_WRITE_KEYS"] = f"till={line.write_key}@America/Mexico_City"
        kinds = tmp_path / "identity.yaml"
        kinds.write_text("kinds: [{name: email, strong: true}, {name: table}]")
        till.environment["DESIRELINE_IDENTITY"] = str(kinds)
        assert "replay      would be replayed" in till.dead_letters("show", id)[1]
        code, said, _ = till.dead_letters("replay", "--reason", "invalid", "--dry-run")
        assert (code, said[-1]) == (1, "2 dead letters: would be replayed 1, still refused 1")
        code, said, _ = till.dead_letters("replay")
        assert (code, said[-1]) == (1, "4 dead letters: replayed 2, still refused 1, cannot be replayed 1")
        assert [row.split("  ")[-1][:22] for row in said if "cannot be replayed  " in row] == ["only the first 64 kB o"]
        facts = "SELECT count() FROM v_touchpoint_facts"
        till.wait(facts, 3)
        code, said, _ = till.dead_letters("replay", id, id[:8])
        assert (code, said[-1]) == (0, "1 dead letter: replayed 1")

        # Once in the tables, however often it was sent; at its address in Kafka.
        records = asyncio.run(read_topic(line.kafka, "touchpoints"))
        sent = [(record.key, decode_stored.decode(record.value or b"").source_event_id) for record in records]
        assert sorted(sent) == [
            (b"email:ada@example.org", "good"), (b"email:ada@example.org", "no-zone"),
            (b"email:ada@example.org", "no-zone"), (b"table:4", "no-kind"),
        ]  # fmt: skip
        line.post(json.dumps(paid("last", occurred_at=utc)).encode())
        till.wait(facts, 4)
        assert line.rows(
            "SELECT source, toString(occurred_at) FROM v_touchpoint_facts WHERE source_event_id = 'no-zone'"
        ) == [("till", "2026-03-01 18:00:00.000")]
        assert line.rows("SELECT count() FROM v_dead_letters") == [(4,)], "a replay refuses nothing anew"

        # Mistakes, and a broker that is away, are one sentence.
        assert "not both" in till.dead_letters("replay", id, "--source", "till")[2]
        till.environment["DESIRELINE_WRITE_KEYS"] = "till=very-secret-key@Nowhere"
        code, said, error = till.dead_letters("replay")
        assert (code, said, error.count("\n"), "secret" in error) == (1, [], 1, False)


def test_a_replay_can_be_interrupted(tmp_path: Path) -> None:
    """Ctrl-C while the broker does not answer; afterwards the same command goes through."""
    with Line(tmp_path, source="till", workers=0) as line:
        till = Till(line)
        line.post(json.dumps([paid("good", occurred_at="2026-03-01T12:00:00Z"), paid("no-zone")]).encode())
        till.wait("SELECT count() FROM v_dead_letters", 1)
        till.environment["DESIRELINE_WRITE_KEYS"] = f"till={line.write_key}@America/Mexico_City"
        for name in ("collector", "sink", "kafka"):  # so that nobody but the replay looks for a broker
            line.kill(name)
        host, port = line.kafka.bootstrap.split(":")
        with (
            socket.create_server((host, int(port))) as broker,
            subprocess.Popen(
                [sys.executable, "-m", "cli", "dead-letters", "replay"],
                env=os.environ | line.environment | till.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as process,
        ):
            try:
                broker.settimeout(60)
                with broker.accept()[0]:  # it waits for the broker's answer now
                    process.send_signal(signal.SIGINT)
                    out, error = process.communicate(timeout=120)
            finally:
                process.kill()
        assert (process.returncode, out) == (1, "0 of 1 dead letter\n")
        assert error == "desireline: interrupted; run the same command again: what is sent twice counts once\n"
        line.start("kafka")
        assert till.dead_letters("replay")[1][-1] == "1 dead letter: replayed 1"
