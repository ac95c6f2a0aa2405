"""The keys of a home: made up at its first start, kept in files that only its owner may read."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import NamedTuple


class KeyFile(NamedTuple):
    """A file of a home, and whose keys are in it."""

    name: str
    owners: tuple[str, ...]


WRITE = KeyFile("write_keys", ("web", "store", "call_center"))
READ = KeyFile("read_keys", ("service",))


def of_home(home: Path, which: KeyFile) -> str:
    """`owner=key` by comma, as the processes read it."""
    file = home / which.name
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(",".join(f"{owner}={secrets.token_urlsafe(18)}" for owner in which.owners) + "\n")
    return file.read_text().strip()
