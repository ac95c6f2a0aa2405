"""Log files of the stack's processes: one each, in `DESIRELINE_HOME/logs`."""

from __future__ import annotations

import os
import re
from pathlib import Path

MAX_BYTES = 10 << 20
LONGEST_LINE = 500  # characters of a line that `tail` shows
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # ClickHouse believes that it speaks to a terminal


def path(home: Path, name: str) -> Path:
    return home / "logs" / f"{name}.log"


def rotate(log: Path, max_bytes: int = MAX_BYTES) -> None:
    """Before a process starts: a log that has grown beyond `max_bytes` becomes `NAME.log.1`, replacing the one before."""
    if log.exists() and log.stat().st_size > max_bytes:
        log.replace(log.with_name(log.name + ".1"))


def tail(log: Path, lines: int = 15, start: int = 0) -> str:
    """The last lines written after byte `start`, long ones shortened; empty if there are none."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(min(start, size), size - LONGEST_LINE * lines * 4))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    written = (_TERMINAL_CODES.sub("", line).rstrip() for line in text.splitlines())
    return "\n".join([line[:LONGEST_LINE] for line in written if line][-lines:] if lines else [])
