"""Drop-offs as events on the whole line: with the watermark, not with a clock; once; taken back when they were none."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.line import Line

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(600)]

PATIENCE, GRACE, STANDSTILL = 8, 12, 10  # seconds
STAGES = [
    {"name": name, "patience": f"{PATIENCE}s", "match": [{"name": name}]} for name in ("looked", "ordered", "bought")
]
DEFINITION = {"name": "purchase", "goal": "bought", "ends_after": "1h", "stages": STAGES}
SOON = 30.0  # seconds in which something must show that should within a few


def line_of(folder: Path) -> Line:
    definitions = folder / "journeys.yaml"
    definitions.write_text(yaml.safe_dump({"definitions": [DEFINITION]}))
    return Line(
        folder / "line",
        definitions=definitions,
        workers=2,
        environment={"worker": {"DESIRELINE_OUTAGE_GRACE": str(GRACE)}},
    )


def send(line: Line, name: str, *customers: str, ago: float = 0.0) -> float:
    """One touchpoint each, `ago` seconds ago; when it was."""
    at = time.time() - ago
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1000):03d}Z"
    body = [
        {
            "event_id": f"{customer}-{name}-{moment}",
            "channel": "web",
            "name": name,
            "occurred_at": moment,
            "identifiers": {"customer_id": customer},
        }
        for customer in customers
    ]
    line.post(json.dumps(body).encode())
    return at


def told(line: Line) -> Counter[tuple[str, str, bool]]:
    """Kind, touchpoint, historical; of what stands."""
    return Counter(line.rows("SELECT kind, touchpoint, historical FROM v_outcomes"))


def retracted(line: Line) -> int:
    return int(line.rows("SELECT count() FROM outcomes FINAL WHERE retracted")[0][0])


def wait(condition: Callable[[], Any], seconds: float = SOON) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.1)


def customers(prefix: str, count: int = 12) -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def test_drop_offs_are_told_once_and_taken_back_whatever_happens_to_the_workers(tmp_path: Path) -> None:
    with line_of(tmp_path) as line:
        # With the watermark, soon after the deadline; none before.
        first = customers("a")
        began = send(line, "looked", *first)
        wait(lambda: told(line) == {("dropped_off", "looked", False): 12})
        assert time.time() - began > PATIENCE
        (at,) = line.rows("SELECT min(toUnixTimestamp64Milli(at)) FROM v_outcomes")[0]
        assert at == int(began * 1000) + PATIENCE * 1000
        silent = "SELECT countIf(status = 'dropped_off') FROM journeys FINAL"
        wait(lambda: line.rows(silent) == [(12,)])  # the sink writes one table after the other

        # A touchpoint that comes late proves that it was none; one that is new is a recovery.
        send(line, "ordered", *first[:4], ago=time.time() - began - 0.1)
        wait(lambda: retracted(line) == 4)
        back = send(line, "bought", *first[4:6])
        wait(lambda: told(line)["recovered", "bought", False] == 2 == told(line)["completed", "bought", False])
        assert told(line)["dropped_off", "looked", False] == 8
        assert back > began

        # A worker dies and the other takes over; one is paused beyond the deadline: what is due is told, and once.
        paused = customers("p")
        send(line, "looked", *paused)
        line.freeze("worker-1")
        line.kill("worker-2")
        time.sleep(PATIENCE + 2)  # the pause is the test
        line.start("worker-2")
        line.thaw("worker-1")
        line.revive()
        wait(lambda: told(line)["dropped_off", "looked", False] == 20, 120)

        # Everything stands still for longer than deadlines and clients keep what they have: no burst when it is back.
        held = customers("h")
        last = send(line, "looked", *customers("s"), *held)
        wait(lambda: line.rows("SELECT count() FROM v_journeys") == [(12 + 12 + 24,)])
        for name in ("collector", "worker-1", "worker-2"):
            line.stop(name)
        before = told(line)["dropped_off", "looked", False]
        time.sleep(max(PATIENCE, STANDSTILL) + 4)  # the outage is the test
        for name in ("worker-1", "worker-2", "collector"):
            line.start(name)
        send(line, "ordered", *held, ago=time.time() - last - 5)
        wait(lambda: told(line)["dropped_off", "looked", False] == before + 12, 60)
        wait(lambda: told(line)["dropped_off", "ordered", True] == 12 + 4, 120)
        assert told(line)["dropped_off", "looked", False] == before + 12, "those whose clients delivered never were any"
        assert retracted(line) == 4, "nothing was told that had to be taken back"

        # History is told as history.
        send(line, "looked", *customers("old"), ago=30 * 60)
        wait(lambda: told(line)["dropped_off", "looked", True] == 12, 120)

        line.settle(60)
        assert "0 differences" in line.cli("verify")
        doubles = line.rows("SELECT outcome_id, count() AS n FROM v_outcomes GROUP BY outcome_id HAVING n > 1")
        assert not doubles
        line.pids()
