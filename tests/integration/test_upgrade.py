"""Rows that a release before wrote: after the migrations every view answers as before, and the present sink goes on with them.

The files are in `tests/fixtures/rows/`; `python -m tests.fixtures.rows COMMIT` writes one with that commit's code.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from runtime.settings import ClickHouseSettings
from sinks.migrate import FOLDER, expected, migrate
from sinks.reader import connect
from tests.fixtures.rows import FILES, insert, load
from tests.integration.conftest import Tables
from tests.sink_records import MARCH, assigned, identifier, identity, journey, touchpoint

pytestmark = pytest.mark.integration
ROWS = sorted(FILES.glob("*.json.xz"))
Answers = dict[str, list[tuple[Any, ...]]]
every_file = pytest.mark.parametrize("file", ROWS, ids=lambda file: file.name.partition(".")[0])


def columns(database: ClickHouseSettings) -> dict[str, tuple[str, ...]]:
    """Those of every view."""
    asked = (
        "SELECT table, groupArray(name) FROM (SELECT table, name FROM system.columns WHERE database = currentDatabase() "
        "AND startsWith(table, 'v_') ORDER BY table, position) GROUP BY table"
    )
    with connect(database) as client:
        return {view: tuple(names) for view, names in client.execute(asked)}


def answers(database: ClickHouseSettings, of: Mapping[str, Sequence[str]]) -> Answers:
    with connect(database) as client:
        return {
            view: sorted(client.execute(f"SELECT {', '.join(names)} FROM {view}"), key=repr)
            for view, names in of.items()
        }


def release_before(
    database: ClickHouseSettings, file: Path, folder: Path
) -> tuple[dict[str, tuple[str, ...]], Answers]:
    """Make its tables and its rows; what its views show."""
    kept = load(file)
    for migration in sorted(FOLDER.glob("*.sql"))[: kept.migrations]:
        shutil.copy(migration, folder)
    migrate(database, folder)
    insert(database, kept)
    of = columns(database)
    return of, answers(database, of)


def test_there_are_rows_of_releases_before() -> None:
    assert len({load(file).migrations for file in ROWS}) > 1


@every_file
def test_every_view_answers_as_before(file: Path, empty_database: ClickHouseSettings, tmp_path: Path) -> None:
    of, before = release_before(empty_database, file, tmp_path)
    assert [view for view, rows in before.items() if not rows] == []
    migrated = migrate(empty_database)
    assert len(migrated) == len(expected()) - load(file).migrations
    now = answers(empty_database, of)
    assert {view: rows for view, rows in now.items() if rows != before[view]} == {}


@every_file
def test_the_present_sink_goes_on_with_them(file: Path, empty_database: ClickHouseSettings, tmp_path: Path) -> None:
    """What it writes replaces what is there, and what it writes again changes nothing."""
    of, _ = release_before(empty_database, file, tmp_path)
    migrate(empty_database)
    tables = Tables(empty_database)
    tables.refresh()
    before = answers(empty_database, of)

    tables.write("touchpoints", map(touchpoint, range(10, 20)), 10)
    tables.write("people", [assigned(n, move=1, person=0, cause="merge") for n in range(10, 20)])
    tables.write("journeys", [journey(n, version=1 << 48) for n in range(1, 40, 9)])  # with the same content
    tables.refresh()
    assert {view: rows for view, rows in answers(empty_database, of).items() if rows != before[view]} == {}

    tables.write("touchpoints", [touchpoint(5, revision=9, name="renamed")], 1_000, at=MARCH + 10_000)
    tables.write("people", [assigned(5, move=1, gone=True), assigned(5, move=1, person=4)])
    tables.write("journeys", [journey(1, version=(1 << 48) + 1, is_deleted=1)])
    tables.write("journeys", [journey(2, version=(1 << 48) + 1, entry_channel="store")])
    tables.write("identities", [identity(1, person=2, version=3)], 1_000)
    tables.refresh()
    event = identifier("event", 5)
    assert tables.ask(f"SELECT name FROM v_touchpoint_facts WHERE event_id = '{event}'") == [("renamed",)]
    assert tables.ask(f"SELECT person_id FROM v_touchpoints WHERE event_id = '{event}'") == [(identifier("person", 4),)]
    assert tables.ask("SELECT person_id FROM v_identities WHERE identifier = 'customer_id:1'") == [
        (identifier("person", 2),)
    ]
    assert tables.ask(f"SELECT count() FROM v_journeys WHERE journey_id = '{identifier('journey', 1)}'") == [(0,)]
    changed = tables.ask(f"SELECT entry_channel FROM v_journeys WHERE journey_id = '{identifier('journey', 2)}'")
    assert changed == [("store",)]
    entered = "SELECT sum(entered) FROM v_funnel WHERE stage = 1"
    assert tables.ask(entered) == tables.ask("SELECT count() FROM v_journeys WHERE has(stages, 1)")
    tables.writer.close()
