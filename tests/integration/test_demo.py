"""`desireline demo`, as `make demo` runs it: from nothing to moving figures, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.integration


def pids(home: Path) -> set[int]:
    """Of the supervisor and of everything that it has started."""
    try:
        state = json.loads((home / "stack.json").read_text())
    except FileNotFoundError:
        return set()
    known = [state["supervisor"], *(process["identity"] for process in state["processes"])]
    return {identity["pid"] for identity in known if identity}


def test_it_shows_journeys_and_leaves_nothing_running(tmp_path: Path) -> None:
    servers = ("KAFKA_BOOTSTRAP", "CLICKHOUSE_URL", "CLICKHOUSE_NATIVE_PORT")
    environment = {name: value for name, value in os.environ.items() if name not in servers}
    home = tmp_path / "home" / "demo"
    demo = subprocess.Popen(
        [sys.executable, "-m", "cli", "demo", "--once"],
        env=environment | {"DESIRELINE_HOME": str(home.parent), "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seen: set[int] = set()
    try:
        deadline = time.monotonic() + 180
        while demo.poll() is None:
            assert time.monotonic() < deadline, "the demo does not end"
            seen |= pids(home)
            time.sleep(0.2)
        assert demo.stdout is not None
        text = demo.stdout.read()
        assert demo.returncode == 0, text
        funnel = {line.split()[0]: line for line in text.splitlines() if line.split()}
        assert {"awareness", "decision", "loyalty"} <= set(funnel)
        assert int(funnel["research"].split()[1].replace(",", "")) > 0
        assert "● worker" in text
        assert "Traceback" not in text
        assert len(seen) >= 7, "supervisor, two servers, collector, worker, sink, alerts"
        assert [pid for pid in seen if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"] == []
        assert {"history.log", "crowd.log", "incident.log"} <= {log.name for log in (home / "logs").iterdir()}
    finally:
        if demo.poll() is None:
            demo.send_signal(signal.SIGTERM)
            demo.wait(timeout=60)
        if demo.stdout:
            demo.stdout.close()
        for pid in seen:
            if psutil.pid_exists(pid):
                psutil.Process(pid).kill()
