"""What settings read from the environment, and what they must leave alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.settings import ClickHouseSettings, ProcessSettings


def test_names_that_mean_something_else_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DESIRELINE_HOME", raising=False)
    monkeypatch.delenv("CLICKHOUSE_URL", raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("URL", "http://elsewhere:1/")
    assert ProcessSettings().home == Path(".desireline")
    assert ClickHouseSettings().url == "http://default@127.0.0.1:8123/desireline"


def test_documented_names_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESIRELINE_HOME", "/srv/desireline")
    assert ProcessSettings().home == Path("/srv/desireline")
