"""The write keys of a home: made up at its first start, kept in a file that only its owner may read."""

from __future__ import annotations

import secrets
from pathlib import Path

SOURCES = ("web", "store", "call_center")
FILE = "write_keys"


def of_home(home: Path) -> str:
    """`source=key` by comma, as the collector reads it."""
    file = home / FILE
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(",".join(f"{source}={secrets.token_urlsafe(18)}" for source in SOURCES) + "\n")
    return file.read_text().strip()
