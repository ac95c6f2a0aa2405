"""Errors of ClickHouse as one sentence with its remedy."""

from __future__ import annotations

import pytest
import typer
from clickhouse_driver.errors import NetworkError, ServerException, SocketTimeoutError

from cli import common
from runtime.settings import ClickHouseSettings

SETTINGS = ClickHouseSettings(url="http://default@host.example:8123/desireline", native_port=9001)


def test_the_stack_trace_and_the_version_stay_away() -> None:
    message = "DB::Exception: Unknown table expression identifier 'nix' in scope SELECT * FROM nix. Stack trace:\n\n0. ? @ 0x0"
    said = common.explain(ServerException(message, 60), SETTINGS)
    assert said.startswith("Unknown table expression identifier 'nix' in scope SELECT * FROM nix: ")
    assert "SHOW TABLES" in said
    assert "0x0" not in said
    over_http = "Code: 62. DB::Exception: Syntax error: failed at position 1. (SYNTAX_ERROR) (version 26.9.1.1)\n"
    assert common.refusal(62, over_http) == "Syntax error: failed at position 1. (SYNTAX_ERROR)"


@pytest.mark.parametrize(
    "error", [NetworkError("refused"), SocketTimeoutError("late"), ConnectionRefusedError(), EOFError()]
)
def test_a_server_that_is_not_there_is_named_with_what_helps(error: Exception) -> None:
    said = common.explain(error, SETTINGS)
    assert "no ClickHouse at host.example:9001" in said
    assert "desireline up" in said


@pytest.mark.parametrize(
    ("parse", "text", "example"),
    [
        (lambda text: common.moment("--as-of", text), "yesterday", "2026-11-24T10:00:00Z"),
        (lambda text: common.period("--since", text), "1y", "7d"),
        (lambda text: common.period("--since", text), "0d", "7d"),
        (common.zone, "Mexico", "America/Mexico_City"),
        (common.zone, "../etc/passwd", "America/Mexico_City"),
    ],
)
def test_a_mistake_is_answered_with_an_example(
    parse: object, text: str, example: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(parse)
    with pytest.raises(typer.Exit):
        parse(text)
    assert example in capsys.readouterr().err


def test_a_time_without_a_zone_is_utc() -> None:
    assert (
        common.moment("--as-of", "2026-03-01")
        == common.moment("--as-of", "2026-03-01T01:00:00+01:00")
        == 1_772_323_200_000
    )
