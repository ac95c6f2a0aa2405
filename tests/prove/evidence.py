"""Evidence: the figures of a long run, with commit and date, in `docs/evidence/`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "evidence"
CODE = ("schemas", "runtime", "ingest", "processors", "sinks", "alerts", "deploy", "cli", "examples")


def commit() -> str:
    """The last commit that touched what runs; `+` when it has been changed since."""
    log = ["git", "log", "-1", "--format=%h", "--", *CODE]
    found = subprocess.run(log, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", *CODE], cwd=ROOT, check=False).returncode
    return found + ("+" if changed else "")


def stamp() -> dict[str, str]:
    """What every piece of evidence begins with."""
    return {"commit": commit(), "date": datetime.now(UTC).isoformat(timespec="seconds")}


def write(name: str, content: Mapping[str, Any]) -> None:
    """`docs/evidence/NAME.json`, in place of the last one."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read(name: str) -> dict[str, Any]:
    """What the last run wrote; empty before the first."""
    file = FOLDER / f"{name}.json"
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return found
