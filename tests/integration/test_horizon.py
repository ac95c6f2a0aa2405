"""The horizon on a whole line: somebody comes back late; the ledger counts it, verify explains it, a replay folds it."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from cli.common import now
from sinks.verify.cut import deadlines_at
from tests.integration.test_replay import eventually, replaying
from tests.integration.test_verify import refreshed, verified
from tests.line import Line

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(600)]

HORIZON, ENDS_AFTER = 5_000, 4_000  # ms
DEFINITIONS = """
definitions:
- name: visit
  ends_after: 4s
  goal: bought
  stages:
  - {name: looked, patience: 2s, match: [{name: looked}]}
  - {name: bought, patience: 2s, match: [{name: bought}]}
"""


def touchpoint(number: int, who: str, at: int, name: str = "looked") -> dict[str, Any]:
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at // 1000)) + f".{at % 1000:03}Z"
    return {
        "event_id": f"e{number}",
        "name": name,
        "channel": "web",
        "occurred_at": moment,
        "identifiers": {"customer_id": who},
    }


def journeys(line: Line) -> list[tuple[int, ...]]:
    """Touchpoints of each journey in the order of their starts; ann has all of them."""
    return line.rows("SELECT touchpoints FROM v_journeys ORDER BY started_at")


def test_who_comes_back_late_is_counted_explained_and_folded_by_a_replay(tmp_path: Path) -> None:
    definitions = tmp_path / "journeys.yaml"
    definitions.write_text(DEFINITIONS)
    quick = {"sink": {"DESIRELINE_SINK_REFRESH_SECONDS": "0.5"}}
    one = Line(tmp_path, definitions=definitions, environment=quick)
    one.environment |= {"DESIRELINE_HORIZON": str(HORIZON / 86_400_000), "DESIRELINE_OUTAGE_GRACE": "0"}
    with one as line:

        def send(*some: dict[str, Any]) -> None:
            line.post(json.dumps(list(some)).encode())

        began = now()
        send(touchpoint(0, "ann", began), touchpoint(1, "ann", began + 1))
        arrived = now()
        eventually(
            lambda: asyncio.run(deadlines_at(line.kafka, 1)) > arrived + HORIZON + 1_000,
            "ann has been silent for so long",
        )
        line.kill("worker-1")
        line.start("worker-1")
        came_back = now()
        send(touchpoint(2, "ann", began + 1_000), touchpoint(3, "ann", came_back, "bought"))
        line.settle()
        refreshed(line)

        assert journeys(line) == [(2,), (1,)], "the closed journey stands as it was, and what came after it is another"
        assert line.rows("SELECT sum(sent), sum(stored), sum(late) FROM v_ledger") == [(4, 3, 1)]
        assert json.loads(line.cli("ledger", "--json"))["total"]["late"] == 1
        assert line.rows("SELECT count() FROM v_touchpoints") == [(4,)], "it is stored"
        code, said, complaint = verified(line)
        assert (code, said["total"], said["unexplained"], said["compared"]["late"]) == (0, 1, 0, 1), complaint
        (late,) = said["differences"]
        assert (late["table"], late["cause"][:5]) == ("late", "late:")
        assert line.rows("SELECT lower(hex(UUIDToNum(event_id))) FROM v_late") == [(late["key"],)]
        assert "late" in line.cli("verify")
        code, said, complaint = verified(line, DESIRELINE_HORIZON="180")
        assert (code, said["unexplained"]) == (1, 1), "nobody was silent for that long"

        with replaying(line):
            eventually(lambda: "2   " in line.cli("replay", "status"), "the new generation is there")
            eventually(
                lambda: line.rows("SELECT sum(touchpoints) FROM journeys FINAL WHERE generation = 2") == [(4,)],
                "the new generation has all touchpoints",
            )
            line.settle()
            line.cli("replay", "swap")
            line.start(line.add_worker(DESIRELINE_GENERATION="2"))
        assert line.stop("worker-1") == 0
        assert journeys(line) == [(3,), (1,)]
        assert line.rows("SELECT sum(sent), sum(stored), sum(late) FROM v_ledger") == [(4, 4, 0)]
        refreshed(line)
        code, said, complaint = verified(line, DESIRELINE_GENERATION="2")
        assert (code, said["differences"]) == (0, []), complaint
