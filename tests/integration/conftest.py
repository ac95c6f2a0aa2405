"""A fresh, migrated ClickHouse database per test, and a way to fill it and to ask it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from runtime.settings import ClickHouseSettings
from schemas.definition import load_definitions
from schemas.topics import split
from sinks import digest
from sinks.clickhouse import HttpWriter
from sinks.migrate import migrate
from sinks.reader import connect, reader
from sinks.rollups import Pass
from sinks.rows import TABLES, dirty_lines, lines_of, newest_journeys
from sinks.stages import stage_lines
from tests.conftest import ClickHouse
from tests.sink_records import MARCH, FakeRecord

LATER = MARCH + 10**11


@pytest.fixture
def empty_database(clickhouse: ClickHouse) -> Iterator[ClickHouseSettings]:
    """Settings of a database that does not exist yet; dropped afterwards."""
    address = urlsplit(clickhouse.url)._replace(path=f"/test_{token_hex(4)}")
    settings = ClickHouseSettings(url=urlunsplit(address), native_port=clickhouse.native_port)
    yield settings
    with connect(settings, database="") as client:
        client.execute(f"DROP DATABASE IF EXISTS {settings.database}")


@pytest.fixture
def database(empty_database: ClickHouseSettings) -> ClickHouseSettings:
    """Settings of a database with all tables."""
    migrate(empty_database)
    return empty_database


class Tables:
    """Writes as the sink does, asks as an analyst does."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self.settings = settings
        self.writer = HttpWriter(settings)

    def write(
        self, topic: str, values: Iterable[bytes], first_offset: int = 0, partition: int = 0, at: int = MARCH
    ) -> None:
        """`values` as the records of a topic that follow one another, appended at `at` (ms UTC)."""
        records = [FakeRecord(topic, offset, value, partition, at) for offset, value in enumerate(values, first_offset)]
        name, generation = split(topic)
        if name == "journeys":
            journeys = newest_journeys(records, generation)
            self.writer.write("journeys", lines_of(topic, journeys.newest))
            self.writer.write("dirty_hours", dirty_lines(journeys.dirty))
        else:
            self.writer.write(TABLES[name], lines_of(topic, records))

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with reader(self.settings) as one:
            return one.ask(sql).rows

    def digests(self) -> dict[str, str]:
        with reader(self.settings) as one:
            return {table: digest.digest(one, table, LATER) for table in digest.TABLES}

    def refresh(self) -> None:
        with connect(self.settings) as client:
            Pass(recent=True).refresh(client)
            Pass(recent=False).refresh(client)


@pytest.fixture
def tables(database: ClickHouseSettings) -> Iterator[Tables]:
    one = Tables(database)
    one.writer.write("stages", stage_lines(load_definitions()))
    yield one
    one.writer.close()
