"""How far an import has come, on disk, so that one that was interrupted goes on where it stopped."""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path

import msgspec

from ingest.map import Map


class Position(msgspec.Struct, frozen=True):
    """Rows of the file that the broker has acknowledged."""

    file: str
    rows: int


class ImportState:
    """One small file per content, map and source. Saved after an acknowledgement: rows after it may be sent again, which
    is harmless. Gone when the import is through."""

    def __init__(self, home: Path, file: str, content: str, rules: Map | None, source: str | None) -> None:
        meaning = f"{rules!r} {source!r}"
        name = blake2b(meaning.encode(), digest_size=4).hexdigest()
        self._file = file
        self._path = home / "imports" / f"{content}-{name}.json"

    def load(self) -> int:
        """Rows that are done; 0 for a new import."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Position).rows
        except (FileNotFoundError, msgspec.DecodeError):  # half a file is none: sending again is harmless
            return 0

    def save(self, rows: int) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(Position(self._file, rows)))
        os.replace(new, self._path)

    def forget(self) -> None:
        self._path.unlink(missing_ok=True)
