"""Bring the database to the shape that this release needs: `python -m sinks.migrate`; `--schema` prints that shape.

Migrations are numbered SQL files, applied in order, forward only, and frozen once shipped: an edited one is refused by its
hash. ClickHouse has no transactions over DDL and no locks, so every statement must be one that may run twice
(`IF NOT EXISTS`, `CREATE OR REPLACE`): then a broken-off run is repeated, and two runs at once end in the same schema.
"""

from __future__ import annotations

import re
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from clickhouse_driver.errors import Error as ClickHouseError

from runtime.settings import ClickHouseSettings
from sinks.queries import query
from sinks.reader import connect

FOLDER = Path(__file__).parent / "migrations"
_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)


class Migration(NamedTuple):
    """One file: its number, its name and its text."""

    number: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        return sha256(self.text.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        """The statements; each ends with a semicolon at the end of a line."""
        parts = re.split(r";[ \t]*$", self.text, flags=re.MULTILINE)
        return [part.strip() for part in parts if _COMMENT.sub("", part).strip()]


class MigrationError(Exception):
    """The database and this release do not fit together; says what to do."""


def expected(folder: Path = FOLDER) -> list[Migration]:
    """The migrations of this release, in order. Raises MigrationError for a wrong name or a gap in the numbers."""
    found = []
    for number, file in enumerate(sorted(folder.glob("*.sql")), 1):
        match = _FILE.fullmatch(file.name)
        if match is None or int(match[1]) != number:
            raise MigrationError(f"{file.name} should be number {number:04d}: migrations are numbered without gaps")
        found.append(Migration(number, match[2], file.read_text(encoding="utf-8")))
    return found


def applied(client: Any) -> dict[int, str]:
    """Number → hash of the migrations that this database has; empty before the first."""
    if not client.execute("EXISTS TABLE migrations")[0][0]:
        return {}
    return dict(client.execute("SELECT number, sha256 FROM migrations FINAL ORDER BY number"))


def pending(client: Any, folder: Path = FOLDER) -> list[Migration]:
    """What has still to be applied. Raises MigrationError when the database has something else than this release."""
    migrations, done = expected(folder), applied(client)
    for migration in migrations:
        if done.get(migration.number, migration.sha256) != migration.sha256:
            raise MigrationError(
                f"migration {migration.number:04d}_{migration.name}.sql differs from the one that was applied: "
                "restore its text and put the change into a new migration"
            )
    if newer := sorted(done.keys() - {migration.number for migration in migrations}):
        raise MigrationError(f"the database has migrations {newer} of a later release: update desireline")
    return [migration for migration in migrations if migration.number not in done]


def migrate(settings: ClickHouseSettings, folder: Path = FOLDER) -> list[Migration]:
    """Create the database if need be and apply what is pending; returns what was applied.

    Raises MigrationError, and clickhouse_driver's errors when the server is not there or refuses a statement.
    """
    with connect(settings, database="") as client:
        client.execute(f"CREATE DATABASE IF NOT EXISTS `{settings.database}` ENGINE = Atomic")
    with connect(settings) as client:
        client.execute(query("create_migrations"))
        todo = pending(client, folder)
        for migration in todo:
            for statement in migration.statements:
                client.execute(statement)
            client.execute(
                "INSERT INTO migrations (number, name, sha256) VALUES",
                [(migration.number, migration.name, migration.sha256)],
            )
    return todo


def schema(client: Any) -> str:
    """Everything that the migrations made, as SHOW CREATE says it, without the database's name; `schema.sql` is this."""
    database = client.execute("SELECT currentDatabase()")[0][0]
    names = client.execute("SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name")
    texts = [client.execute(f"SHOW CREATE TABLE `{name}`")[0][0] for (name,) in names if not name.startswith(".inner")]
    return "".join(f"{text.replace(f'{database}.', '')};\n\n" for text in texts)


def main() -> None:
    settings = ClickHouseSettings()
    try:
        done = migrate(settings)
        if sys.argv[1:] == ["--schema"]:
            with connect(settings) as client:
                print(schema(client), end="")
            return
    except (MigrationError, ClickHouseError, OSError) as error:
        print(f"cannot migrate {settings.database} on {settings.host}: {error}", file=sys.stderr)
        raise SystemExit(1) from error
    for migration in done:
        print(f"applied {migration.number:04d} {migration.name}")
    print(f"{settings.database} is up to date: {len(expected())} migrations")


if __name__ == "__main__":
    main()
