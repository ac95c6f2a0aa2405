"""Reading ClickHouse for people: native protocol, read-only, with limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from runtime.settings import ClickHouseSettings

READ_ONLY = 2  # no writes; the settings of a query may still be given
CONNECT_SECONDS = 5
ANSWER_SECONDS = 300


@contextmanager
def connect(
    settings: ClickHouseSettings,
    database: str | None = None,
    answer_seconds: float = ANSWER_SECONDS,
    **query_settings: Any,
) -> Iterator[Any]:
    """A clickhouse_driver Client, in UTC, closed at the end; `database` "" is the server's default."""
    from clickhouse_driver import Client  # takes a moment to import: only who asks ClickHouse pays

    client = Client(
        settings.host,
        settings.native_port,
        database=settings.database if database is None else database,
        user=settings.user,
        password=settings.password,
        secure=settings.secure,
        connect_timeout=CONNECT_SECONDS,
        send_receive_timeout=answer_seconds,
        settings={"session_timezone": "UTC"} | query_settings,
    )
    try:
        yield client
    finally:
        client.disconnect()


class Answer(NamedTuple):
    """A result: names of the columns, and rows in their order."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


class Given(NamedTuple):
    """Values that go along with a query as a table with the one column `value`, of this type.

    Unlike parameters, which the server writes into the query's text, they stand in no log of queries; and may be many.
    """

    table: str
    kind: str
    values: Iterable[Any]


class Reader:
    """Answers questions, changes nothing. Not for several threads at once; reconnects by itself."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def ask(self, sql: str, parameters: Mapping[str, Any] | None = None, given: Iterable[Given] = ()) -> Answer:
        """One query, whole; parameters as `{name:Type}` in its text. Raises clickhouse_driver's errors."""
        rows, columns = self._client.execute(
            sql, dict(parameters or {}), with_column_types=True, external_tables=_tables(given)
        )
        return Answer(tuple(name for name, _ in columns), rows)

    def stream(
        self, sql: str, parameters: Mapping[str, Any] | None = None, given: Iterable[Given] = ()
    ) -> Iterator[Sequence[Any]]:
        """The rows of one query as they come, without holding them all."""
        yield from self._client.execute_iter(sql, dict(parameters or {}), external_tables=_tables(given))


def _tables(given: Iterable[Given]) -> list[dict[str, Any]]:
    return [
        {"name": name, "structure": [("value", kind)], "data": [{"value": value} for value in values]}
        for name, kind, values in given
    ]


@contextmanager
def reader(settings: ClickHouseSettings) -> Iterator[Reader]:
    """A Reader on the database of `settings`, closed at the end."""
    with connect(settings, readonly=READ_ONLY, server_side_params=True) as client:
        yield Reader(client)
