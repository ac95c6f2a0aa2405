"""Runs the peers, each in a process of its own, and reads what they say they took."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import NamedTuple

QUIX = "quixstreams>=3.20,<4"
SECONDS = 120


class Took(NamedTuple):
    """Seconds, and CPU seconds of the process, for so many touchpoints."""

    touchpoints: int
    wall: float
    cpu: float


def faust_table(bootstrap: str, topic: str, partitions: int, group: str, touchpoints: int) -> Took:
    arguments = ["-m", "benchmarks.peers.faust_table", bootstrap, topic, str(partitions), group, str(touchpoints)]
    return _run([sys.executable, *arguments], touchpoints)


def quix_count(bootstrap: str, topic: str, group: str, touchpoints: int) -> Took:
    program = Path(__file__).with_name("quix_count.py")
    return _run([str(_quix_python()), str(program), bootstrap, topic, group, str(touchpoints)], touchpoints)


def _quix_python() -> Path:
    """Python of an environment with Quix Streams, made on first use: its pins do not go together with ours."""
    folder = Path(sys.prefix) / "peers" / "quix"
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", QUIX], check=True, timeout=300)
        (folder / "installed").touch()
    return python


def _run(command: list[str], touchpoints: int) -> Took:
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=SECONDS, text=True, check=True)
    said = json.loads(done.stdout.strip().splitlines()[-1])
    return Took(touchpoints, said["wall"], said["cpu"])
