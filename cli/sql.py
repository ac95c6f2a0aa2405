"""`desireline sql`: a question to ClickHouse, answered for scripts or for people."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

import typer

from cli.common import clickhouse_settings, no_answer, refusal
from cli.output import fail
from runtime.settings import ClickHouseSettings

PIECE = 1 << 16  # bytes


class Format(StrEnum):
    tsv = "tsv"
    csv = "csv"
    json = "json"
    pretty = "pretty"


_FORMATS = {
    Format.tsv: ("TabSeparated", "TabSeparatedWithNames"),
    Format.csv: ("CSV", "CSVWithNames"),
    Format.json: ("JSONEachRow", "JSONEachRow"),
    Format.pretty: ("PrettyCompact", "PrettyCompact"),
}


def sql(
    query: Annotated[str | None, typer.Argument(help="The query; - or nothing: standard input.")] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Read the query from a file.")] = None,
    format: Annotated[
        Format, typer.Option(help="json: one object a line. A FORMAT in the query goes before.")
    ] = Format.tsv,
    header: Annotated[bool, typer.Option("--header", help="Names of the columns first, in tsv and csv.")] = False,
) -> None:
    """Ask ClickHouse; nothing is changed. The views to ask: v_touchpoints, v_journeys, v_funnel, v_drop_off, v_transitions, …

    Tab-separated, for scripts. Every view says what its columns mean: desireline sql 'DESCRIBE v_journeys'.
    """
    if query is not None and file is not None:
        raise fail("give the query or --file, not both")
    _ask(clickhouse_settings(), _text(query, file), _FORMATS[format][header])


def _text(query: str | None, file: Path | None) -> str:
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as error:
            raise fail(f"{file}: {error.strerror}") from error
    else:
        text = sys.stdin.read() if query in (None, "-") else str(query)
    if not text.strip():
        raise fail("the query is empty: desireline sql 'SELECT …'")
    return text.strip().rstrip(";")


def _ask(settings: ClickHouseSettings, query: str, format: str) -> None:
    """Over HTTP: the server writes the format. It finishes before its first byte, so that an error is never half a result."""
    import urllib3

    from sinks.reader import ANSWER_SECONDS, CONNECT_SECONDS, READ_ONLY

    scheme = "https" if settings.secure else "http"
    where = f"{settings.host}:{settings.http_port}"
    parameters = {
        "database": settings.database, "default_format": format, "readonly": READ_ONLY, "wait_end_of_query": 1,
        "session_timezone": "UTC", "output_format_json_quote_64bit_integers": 0,
        "output_format_pretty_color": int(sys.stdout.isatty()),
    }  # fmt: skip
    with urllib3.PoolManager(retries=False) as pool:
        try:
            answer = pool.request(
                "POST",
                f"{scheme}://{where}/?{urlencode(parameters)}",
                body=query.encode(),
                headers={"X-ClickHouse-User": settings.user, "X-ClickHouse-Key": settings.password},
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS),
                preload_content=False,
            )
            if answer.status != 200 or "X-ClickHouse-Exception-Code" in answer.headers:
                code = int(answer.headers.get("X-ClickHouse-Exception-Code", 0))
                raise fail(refusal(code, answer.data.decode("utf-8", "replace")) or f"{where} answered {answer.status}")
            for piece in answer.stream(PIECE):
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        except urllib3.exceptions.HTTPError as error:
            raise fail(no_answer(where)) from error
        except BrokenPipeError:  # `desireline sql … | head`
            sys.stderr.close()
