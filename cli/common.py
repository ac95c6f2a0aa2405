"""What the commands that read ClickHouse share: the connection, and every error they know as one sentence with its remedy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ValidationError

from cli.output import fail
from runtime.settings import ClickHouseSettings
from schemas.rule import milliseconds

if TYPE_CHECKING:
    from sinks.reader import Reader

_REMEDIES = {  # by ClickHouse's error code
    60: "`desireline sql 'SHOW TABLES'` lists the views; if there are none: python -m sinks.migrate",  # UNKNOWN_TABLE
    81: "nothing is stored there yet: `desireline up`, or python -m sinks.migrate",  # UNKNOWN_DATABASE
    164: "desireline only reads; use a client of ClickHouse to change anything",  # READONLY
    241: "ask for less at once: a shorter time, fewer columns, a LIMIT",  # MEMORY_LIMIT_EXCEEDED
    497: "the user in CLICKHOUSE_URL may not do this",  # ACCESS_DENIED
    516: "correct user and password in CLICKHOUSE_URL",  # AUTHENTICATION_FAILED
}


def clickhouse_settings() -> ClickHouseSettings:
    """The settings; a mistake in the environment ends the command with one sentence."""
    try:
        return ClickHouseSettings()
    except ValidationError as error:
        raise fail("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())) from error


@contextmanager
def reading() -> Iterator[Reader]:
    """A Reader on the user's ClickHouse, and around everything that it is asked: known errors end the command."""
    from clickhouse_driver import errors  # takes a moment to import: only who asks ClickHouse pays

    from sinks.reader import reader

    settings = clickhouse_settings()
    try:
        with reader(settings) as one:
            yield one
    except (errors.Error, OSError, EOFError) as error:
        raise fail(explain(error, settings)) from error


def explain(error: Exception, settings: ClickHouseSettings) -> str:
    """One sentence: what ClickHouse says, or that it says nothing, and what helps."""
    from clickhouse_driver import errors

    if isinstance(error, errors.ServerException) and not isinstance(error, errors.NetworkError):
        return refusal(error.code, error.message)
    return no_answer(f"{settings.host}:{settings.native_port}")


def no_answer(where: str) -> str:
    """Nothing listens at host:port, or not ClickHouse."""
    return (
        f"no ClickHouse at {where}: is it running? `desireline up` starts one, `desireline doctor` says what is wrong"
    )


def refusal(code: int, message: str) -> str:
    """What the server refuses, without its version and stack trace, and the remedy where one is known."""
    text = message.partition("Stack trace:")[0].strip()
    text = text.removeprefix(f"Code: {code}. ").removeprefix("DB::Exception: ").partition(" (version ")[0].rstrip(" .")
    text = " ".join(text.split())
    remedy = _REMEDIES.get(code)
    return f"{text}: {remedy}" if remedy else text


def now() -> int:
    """The time, ms UTC."""
    return time.time_ns() // 1_000_000


def moment(option: str, text: str) -> int:
    """ISO 8601 → ms UTC; without a zone it is UTC. Ends the command for anything else."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise fail(f"{option} {text!r} is not a time: write for example 2026-11-24T10:00:00Z") from error
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def period(option: str, text: str) -> int:
    """`7d` → ms. Ends the command for anything else."""
    found = milliseconds(text)
    if not isinstance(found, int) or found <= 0:
        raise fail(f"{option} {text!r} is not a time: write for example 30m, 12h, 7d or 26w")
    return found


def zone(name: str) -> ZoneInfo:
    """An IANA time zone. Ends the command for anything else."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise fail(f"--tz {name!r} is not a time zone: write for example America/Mexico_City") from error
