"""The README, followed to the letter by a shell in a fresh folder: every command of it runs, and a touchpoint can be found."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
HISTORY = """\
who,what,when,score
ada@example.com,search,2026-11-20T10:00:00Z,
bob@example.com,paid,2026-11-20T11:00:00Z,
bob@example.com,survey_answered,2026-11-20T12:00:00Z,9
"""
MAP = """\
{source: history, format: csv, identifiers: {email: who}, name: what, channel: {value: web}, occurred_at: when,
 feedback: {kind: {value: nps}, score: score}}
"""

# What makes a command end that goes on until Ctrl-C, or that would work for a minute.
ENDING = {"watch": "--once", "tail": "--last 1 --count 1", "simulate": "--customers 3 --out simulated.jsonl"}


def shell(script: str, home: Path, *, check: bool = True) -> str:
    """Run lines of the README in bash, as a user of the project's environment would."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("KAFKA_", "CLICKHOUSE_", "DESIRELINE_"))}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert not check or done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout + done.stderr


def blocks() -> list[str]:
    """The shell blocks, without those about making the environment itself."""
    return [b for b in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "make demo" not in b]


def test_a_newcomer_gets_as_far_as_a_journey(tmp_path: Path) -> None:
    first, send, history = blocks()
    assert "desireline up" in first
    assert "import history.csv.gz" in history
    (tmp_path / "history.csv.gz").write_bytes(gzip.compress(HISTORY.encode()))
    (tmp_path / "map.yaml").write_text(MAP)
    try:
        status = shell(first.replace("make setup && . .venv/bin/activate\n", ""), tmp_path)
        assert status.count("running") >= 5
        ports = json.loads((tmp_path / ".desireline/stack.json").read_text())["ports"]
        send = send.replace("127.0.0.1:8080", f"127.0.0.1:{ports['collector']}")  # 8080 may be taken here
        assert '"accepted":1' in shell(send, tmp_path)
        assert shell(history, tmp_path)
        give_up = time.monotonic() + 120
        while "checkout_started" not in shell("desireline journeys ada@example.com", tmp_path, check=False):
            assert time.monotonic() < give_up, "the touchpoint never became a journey"
        for command in re.findall(r"^\| `(desireline [^`]+)` \|", README, re.MULTILINE):
            more = next((options for name, options in ENDING.items() if f"desireline {name}" in command), "")
            while not shell(f"{command} {more}", tmp_path):  # v_funnel follows within seconds
                assert time.monotonic() < give_up, f"{command} shows nothing"
    finally:
        shell("desireline down", tmp_path, check=False)
