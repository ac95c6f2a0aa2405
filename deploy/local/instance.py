"""One stack per DESIRELINE_HOME: the lock that its supervisor holds, and what a supervisor that was killed left behind."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import IO

from deploy.local import state
from deploy.local.errors import StackError

LOCK = "stack.lock"


def demo(home: Path) -> Path:
    """The home of the demo's own stack: its guests are nobody's customers, and its days are short."""
    return home if home.name == "demo" else home / "demo"


def try_lock(home: Path) -> IO[str] | None:
    """The lock, held while the returned file is open here or in a child that inherits it; None when another has it."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)  # it will hold what customers did
    file = (home / LOCK).open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def lock(home: Path) -> IO[str]:
    """The lock, or a `StackError` that names the stack that runs."""
    held = try_lock(home)
    if held is None:
        supervisor = state.load(home).supervisor
        by = f"pid {supervisor.pid}, " if supervisor else ""
        raise StackError(
            f"a stack is running already ({by}home {home}): see it with `desireline status`, "
            "stop it with `desireline down`, or give another DESIRELINE_HOME"
        )
    return held


def is_running(home: Path) -> bool:
    if not (home / LOCK).exists():
        return False
    held = try_lock(home)
    if held is not None:
        held.close()
    return held is None


def end_leftovers(home: Path) -> list[str]:
    """End what an earlier stack's supervisor could not end because it was killed; the names. Needs the lock."""
    left = state.load(home)
    ended = [p.name for p in reversed(left.processes) if p.identity is not None and p.identity.end()]
    for process in left.processes:
        process.status, process.identity = "stopped", None
    left.supervisor = None
    left.save(home)
    return ended


def stop(home: Path, seconds: float = 90) -> bool:
    """Tell the running stack to stop, and wait until it has; did one run? What does not end in time is killed."""
    supervisor = state.load(home).supervisor if is_running(home) else None
    if supervisor is not None:
        supervisor.end(seconds)
    held = _wait_for_lock(home)
    with held:
        return bool(end_leftovers(home)) or supervisor is not None


def _wait_for_lock(home: Path, seconds: float = 10) -> IO[str]:
    deadline = time.monotonic() + seconds
    while (held := try_lock(home)) is None:
        if time.monotonic() > deadline:
            raise StackError(f"another command holds {home / LOCK}: try again when it has ended")
        time.sleep(0.05)
    return held
