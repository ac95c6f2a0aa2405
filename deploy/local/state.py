"""What a running stack says about itself: `DESIRELINE_HOME/stack.json`, written by its supervisor, read by every command.

The file stays after the stack has stopped, because the next start takes its ports from it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from deploy.local.processes import Identity

ProcessStatus = Literal["waiting", "starting", "running", "done", "restarting", "failing", "stopped"]
FILE = "stack.json"


class ProcessState(BaseModel):
    """One process: `since` is when its status last changed (Unix seconds); `problem` is why it is not running."""

    name: str
    status: ProcessStatus = "waiting"
    identity: Identity | None = None
    since: float = 0
    restarts: int = 0
    port: int | None = None
    version: str = ""
    problem: str = ""

    @property
    def settled(self) -> bool:
        return self.status in ("running", "done")


class StackState(BaseModel):
    """The whole stack; `ports` by name, `environment` is what a client needs to reach it."""

    supervisor: Identity | None = None
    started: float = 0
    ports: dict[str, int] = {}
    environment: dict[str, str] = {}
    processes: list[ProcessState] = []

    @property
    def settled(self) -> bool:
        return all(process.settled for process in self.processes)

    @property
    def failing(self) -> list[ProcessState]:
        return [process for process in self.processes if process.status == "failing"]

    def save(self, home: Path) -> None:
        """Replace the file at once; only this user may read it, for it may hold ClickHouse's password."""
        draft = home / f"{FILE}.draft"
        draft.touch(mode=0o600)
        draft.write_text(self.model_dump_json(indent=2))
        os.replace(draft, home / FILE)


def load(home: Path) -> StackState:
    """The last state written there; an empty one if there is none, or one that cannot be read (of another release)."""
    try:
        return StackState.model_validate_json((home / FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return StackState()
