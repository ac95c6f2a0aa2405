"""`desireline simulate`: files, pace, and an end in good order."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from ingest.simulator.outputs import FileOutput
from ingest.simulator.pace import AHEAD, Pace
from schemas.touchpoint import Touchpoint


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["simulate", *map(str, arguments)])


def test_it_writes_touchpoints_and_the_ledger(tmp_path: Path) -> None:
    out, ledger = tmp_path / "touchpoints.jsonl", tmp_path / "ledger.jsonl"
    result = run("--customers", 50, "--seed", 3, "--out", out, "--ledger", ledger, "--duplicates", 0.2)
    assert result.exit_code == 0, result.output
    sent = out.read_bytes().splitlines()
    assert all(Touchpoint.model_validate_json(line) for line in sent)
    *journeys, summary = map(json.loads, ledger.read_bytes().splitlines())
    assert summary["record"] == "summary"
    assert summary["deliveries"]["deliveries"] == len(sent)
    assert {line["record"] for line in journeys} == {"journey"}


def test_equal_options_give_equal_packed_files(tmp_path: Path) -> None:
    files = tmp_path / "a.jsonl.gz", tmp_path / "b.jsonl.gz"
    for file in files:
        assert run("--customers", 50, "--out", file).exit_code == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    assert b"event_id" in gzip.decompress(files[0].read_bytes())


def test_it_stops_after_the_touchpoints_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "touchpoints.jsonl"
    assert run("--touchpoints", 200, "--out", out).exit_code == 0
    assert 200 <= len(out.read_bytes().splitlines()) < 260


def test_the_start_is_as_given(tmp_path: Path) -> None:
    out = tmp_path / "touchpoints.jsonl"
    assert (
        run("--customers", 20, "--start", "2024-02-29T00:00:00+01:00", "--duration", "1d", "--out", out).exit_code == 0
    )
    first = json.loads(out.read_bytes().splitlines()[0])
    assert first["occurred_at"].startswith("2024-02-2")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--pain", "paid"), "use one of"),
        (("--duration", "soon"), "--duration"),
        (("--start", "yesterday"), "--start"),
        (("--out", "x.jsonl", "--to-kafka"), "give one of"),
        (("--out", "/no/such/folder/x.jsonl"), "No such file"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert said in result.output
    assert "Traceback" not in result.output


def test_ctrl_c_ends_it_with_a_valid_ledger(tmp_path: Path) -> None:
    out, ledger = tmp_path / "touchpoints.jsonl", tmp_path / "ledger.jsonl"
    program = "from cli.main import main; main()"
    command = ["simulate", "--customers", "1000000", "--rate", "500", "--out", str(out), "--ledger", str(ledger)]
    process = subprocess.Popen([sys.executable, "-c", program, *command], stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 60
        while not (out.exists() and out.stat().st_size > 10_000) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, said.decode()
    summary = json.loads(ledger.read_bytes().splitlines()[-1])
    assert summary["touchpoints"] == len(out.read_bytes().splitlines()) > 20
    assert b"a second" in said


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_rate_is_kept() -> None:
    clock = Clock()
    pace = Pace(200, live=False, now=clock, sleep=clock.sleep)
    for _ in range(1_000):
        if not pace.due(0):
            pace.wait(0, stopped=lambda: False)
        pace.count()
    assert 5 - 3 * AHEAD < clock.now - 1_000 < 5


def test_live_touchpoints_wait_for_their_moment() -> None:
    clock = Clock()
    pace = Pace(None, live=True, now=clock, sleep=clock.sleep)
    pace.wait(1_010_500, stopped=lambda: False)
    assert clock.now == pytest.approx(1_010.5)
    assert pace.due(1_009_000)
    pace.wait(9_999_000, stopped=lambda: True)
    assert clock.now == pytest.approx(1_010.5)


def test_without_a_rate_nothing_waits() -> None:
    assert Pace(None, live=False, now=lambda: 0.0).due(10**15)


def test_a_file_is_whole_after_closing(tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.jsonl.gz"):
        output = FileOutput(tmp_path / name)
        output.write(b"{}")
        output.close()
    assert (tmp_path / "a.jsonl").read_bytes() == gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()) == b"{}\n"
