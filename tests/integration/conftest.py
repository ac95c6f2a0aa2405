"""A fresh, migrated ClickHouse database per test."""

from __future__ import annotations

from collections.abc import Iterator
from secrets import token_hex
from urllib.parse import urlsplit, urlunsplit

import pytest

from runtime.settings import ClickHouseSettings
from sinks.migrate import migrate
from sinks.reader import connect
from tests.conftest import ClickHouse


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
