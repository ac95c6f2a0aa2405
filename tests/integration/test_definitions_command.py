"""`desireline definitions` on a database as the sink fills it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from tests import sink_records as sink
from tests.integration.conftest import Tables

pytestmark = pytest.mark.integration

OTHER = """\
definitions:
  - name: support
    goal: solved
    stages:
      - {name: asked, patience: 2d, match: {channel: call_center, properties: {urgent: true}}}
      - {name: solved, patience: 1d, match: {name: closed}}
"""


def said(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["definitions", *arguments], env={"COLUMNS": "80"})
    assert result.exit_code == code, result.output
    return result.output


def test_what_is_stored_is_matched_and_a_change_is_seen(
    tables: Tables, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CLICKHOUSE_URL", tables.settings.url)
    monkeypatch.setenv("CLICKHOUSE_NATIVE_PORT", str(tables.settings.native_port))
    monkeypatch.setenv("DESIRELINE_HOME", str(tmp_path))
    calls = [
        sink.touchpoint(n, channel="call_center", name="asked_for_help", properties={"urgent": n > 2, "note": "x" * n})
        for n in range(5)
    ]
    tables.write("touchpoints", [*calls, sink.touchpoint(9, channel="web", name="page_view", properties={})])
    tables.write("touchpoints", [sink.touchpoint(9, channel="web", name="page_view", properties={})], 6)  # read again
    tables.write("journeys", [sink.journey(1), sink.journey(2)])

    shipped = " ".join(said("check").split())
    assert "These are the journeys that are live." in shipped
    assert "web·page_view 1" in shipped
    assert "5 call_center·asked_for_help" in shipped
    assert said("list").startswith("purchase, version 1: 2 journeys\n    awareness → research")

    file = tmp_path / "journeys.yaml"
    file.write_text(OTHER)
    other = " ".join(said("check", str(file)).split())
    assert "call_center·asked_for_help 2" in other
    assert "closed: matches nothing" in other
    assert "3 call_center·asked_for_help 1 web·page_view" in other
    assert "Not what is live: support is new, purchase is not in the file." in other
    assert "desireline replay start --from clickhouse" in other

    file.write_text(OTHER.replace("2d", "2 days").replace("closed", "on"))
    wrong = said("check", str(file), code=1)
    assert f"2 mistakes in {file}" in wrong
    assert f"{file}:5: support.asked.patience: '2 days' is not a time" in wrong


def test_without_a_database_the_file_alone_is_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLICKHOUSE_URL", "http://127.0.0.1:1/desireline")
    monkeypatch.setenv("CLICKHOUSE_NATIVE_PORT", "1")
    monkeypatch.setenv("DESIRELINE_HOME", str(tmp_path))
    shown = said("check")
    assert "1 journey, no mistakes" in shown
    assert "not compared with what is stored: no ClickHouse at 127.0.0.1:1" in shown
