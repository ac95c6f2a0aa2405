"""Migrations: repeatable, frozen, safe at the same time, and what they make is what `schema.sql` says."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runtime.settings import ClickHouseSettings
from sinks import migrate as migrations
from sinks.migrate import FOLDER, MigrationError, applied, expected, migrate, pending, schema
from sinks.reader import connect

pytestmark = pytest.mark.integration
GENERATIONS = next(migration.number for migration in expected() if migration.name == "generations")
GOLDEN = FOLDER.parent / "schema.sql"


def test_the_second_run_finds_nothing_to_do(empty_database: ClickHouseSettings) -> None:
    assert migrate(empty_database) == expected()
    assert migrate(empty_database) == []
    with connect(empty_database) as client:
        assert applied(client) == {migration.number: migration.sha256 for migration in expected()}
        assert pending(client) == []
        engine = client.execute("SELECT engine FROM system.databases WHERE name = currentDatabase()")
        assert engine == [("Atomic",)]


def test_two_runs_at_once_make_the_same_schema(empty_database: ClickHouseSettings) -> None:
    with ThreadPoolExecutor(2) as pool:
        for run in [pool.submit(migrate, empty_database) for _ in range(2)]:
            run.result()
    with connect(empty_database) as client:
        assert schema(client) == GOLDEN.read_text(encoding="utf-8")
        assert pending(client) == []


def test_a_broken_off_run_is_finished_by_the_next(empty_database: ClickHouseSettings, tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    broken = tmp_path / f"{len(expected()) + 1:04d}_broken.sql"
    broken.write_text("CREATE TABLE IF NOT EXISTS a (x UInt8) ORDER BY x;\nSELECT throwIf(1);\n")
    with pytest.raises(Exception, match="throwIf"):
        migrate(empty_database, tmp_path)
    broken.write_text("CREATE TABLE IF NOT EXISTS a (x UInt8) ORDER BY x;\n")
    assert [migration.name for migration in migrate(empty_database, tmp_path)] == ["broken"]


def test_rows_of_the_release_before_are_of_generation_one(empty_database: ClickHouseSettings, tmp_path: Path) -> None:
    """The sort key grows without a rewrite: what was written before and after is one row, and another generation's is not."""
    for file in sorted(FOLDER.glob("*.sql"))[: GENERATIONS - 1]:
        shutil.copy(file, tmp_path)
    migrate(empty_database, tmp_path)
    insert = (
        "INSERT INTO identities (identifier, person_id, version{column}) "
        "SELECT 'email:a@b.c', toUUID('00000000-0000-0000-0000-00000000000{n}'), {n}{value}"
    )
    with connect(empty_database) as client:
        client.execute(insert.format(n=1, column="", value=""))
        migrate(empty_database)
        read = "SELECT toString(person_id), generation FROM identities FINAL ORDER BY generation"
        assert client.execute(read) == [("00000000-0000-0000-0000-000000000001", 1)]
        client.execute(insert.format(n=2, column="", value=""))
        client.execute(insert.format(n=3, column=", generation", value=", 2"))
        for _ in range(2):
            found = [(person[-1], generation) for person, generation in client.execute(read)]
            assert found == [("2", 1), ("3", 2)]
            client.execute("OPTIMIZE TABLE identities FINAL")
        assert [person for person, *_ in client.execute("SELECT toString(person_id) FROM v_identities")] == [
            "00000000-0000-0000-0000-000000000002"
        ]


def test_an_edited_migration_is_refused(database: ClickHouseSettings, tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    file = next(tmp_path.glob("0002_*.sql"))
    file.write_text(file.read_text(encoding="utf-8") + "-- a harmless thought\n", encoding="utf-8")
    with pytest.raises(MigrationError, match="0002_journeys"):
        migrate(database, tmp_path)


def test_a_database_of_a_later_release_is_refused(database: ClickHouseSettings, tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    sorted(tmp_path.glob("*.sql"))[-1].unlink()
    with pytest.raises(MigrationError, match="later release"):
        migrate(database, tmp_path)


def test_numbers_have_no_gaps(tmp_path: Path) -> None:
    (tmp_path / "0002_second.sql").write_text("SELECT 1;\n")
    with pytest.raises(MigrationError, match="0002_second"):
        expected(tmp_path)


def test_schema_sql_is_current(database: ClickHouseSettings) -> None:
    with connect(database) as client:
        assert schema(client) == GOLDEN.read_text(encoding="utf-8"), (
            "write it anew: python -m sinks.migrate --schema > sinks/schema.sql"
        )


def test_every_view_and_every_column_of_it_is_explained(database: ClickHouseSettings) -> None:
    with connect(database) as client:
        views = dict(
            client.execute(
                "SELECT name, comment FROM system.tables WHERE database = currentDatabase() AND engine = 'View'"
            )
        )
        silent = client.execute(
            "SELECT table, name FROM system.columns WHERE database = currentDatabase() AND table IN %(views)s AND comment = ''",
            {"views": tuple(views)},
        )
    assert {name for name in views if name.startswith("v_")} >= {
        "v_touchpoints", "v_touchpoint_facts", "v_journeys", "v_funnel", "v_transitions", "v_drop_off",
        "v_channel_paths", "v_dead_letters", "v_identities", "v_person_aliases", "v_restatements", "v_ledger",
    }  # fmt: skip
    assert [name for name, comment in views.items() if not ("Exact now" in comment or "Prepared" in comment)] == []
    assert silent == []


def test_migrations_hold_no_users() -> None:
    texts = "".join(migration.text for migration in migrations.expected()).upper()
    assert not [word for word in ("CREATE USER", "GRANT ", "CREATE ROLE", "IDENTIFIED") if word in texts]
