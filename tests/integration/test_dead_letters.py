"""`desireline dead-letters` on real servers: what was refused is listed, shown, and after the fix sent again."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from runtime.settings import ClickHouseSettings
from schemas.dead_letter import DeadLetter, dead_letter
from sinks.clickhouse import HttpWriter
from sinks.rows import lines_of
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
