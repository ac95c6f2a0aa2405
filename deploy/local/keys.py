"""The keys and the secret of a home: made up at its first start, kept in files that only its owner may read."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import NamedTuple

from runtime.settings import PUBLIC_SECRET


class KeyFile(NamedTuple):
    """A file of a home, and whose keys are in it."""

    name: str
    owners: tuple[str, ...]


WRITE = KeyFile("write_keys", ("web", "store", "call_center"))
READ = KeyFile("read_keys", ("service",))


SECRET = "secret"  # noqa: S105 - the name of a file
STARTED = "logs"  # a folder that every start of a stack leaves behind


def of_home(home: Path, which: KeyFile) -> str:
    """`owner=key` by comma, as the processes read it."""
    return _kept(home / which.name, ",".join(f"{owner}={secrets.token_urlsafe(18)}" for owner in which.owners))


def secret_of_home(home: Path) -> str:
    """The key of person ids. A home that a release before has filled goes on with the one that its ids were made with."""
    return _kept(home / SECRET, PUBLIC_SECRET if (home / STARTED).exists() else secrets.token_urlsafe(32))


def _kept(file: Path, new: str) -> str:
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(f"{new}\n")
    return file.read_text().strip()
