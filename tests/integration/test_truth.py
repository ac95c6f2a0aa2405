"""The default journeys of the simulated company on the whole line say what the simulator's own ledger says is true."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ingest.simulator.ledger import Ledger
from ingest.simulator.moments import Stage
from ingest.simulator.scenario import DAY, Scenario
from ingest.simulator.simulation import simulate
from tests.integration.test_line import send, with_each_process_killed
from tests.integration.test_replay import count, eventually, replaying
from tests.line import Line

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(900)]

SCENARIO = Scenario(
    seed=6,
    customers=250,
    duration=70 * DAY,
    duplicates=0.05,
    late=0.1,
    late_by=DAY,
    corrections=0.2,
    shared_devices=0.3,
)
GRACE = "1"  # s; reading a log is a leap of time, after which drop-offs wait so long
PATIENCE = 150.0  # seconds: history is told after a minute without news
Truth = tuple[Counter[tuple[Any, ...]], list[tuple[int, ...]], Counter[str]]


def simulated() -> tuple[list[dict[str, Any]], Truth]:
    """Touchpoints in order of arrival; each journey, the funnel and the outcomes that are true of them today."""
    lines: list[bytes] = []
    company = simulate(SCENARIO, Ledger(lines.append))
    touchpoints = [json.loads(sent.touchpoint) for sent in company]
    summary = company.ledger.finish(int(time.time() * 1000))
    told = [json.loads(line) for line in lines[:-1]]
    journeys: Counter[tuple[Any, ...]] = Counter(
        (
            one["status"], one["started_at"], one["last_at"], one["completed_at"], one["due_at"], one["touchpoints"],
            tuple(Stage[stage].value for stage in one["path"]), Stage[one["furthest"]].value,
            tuple((Stage[back["stage"]].value, back["due_at"], back["back_at"]) for back in one["recovered"]),
            one["value"].get("MXN", 0), tuple((answer["kind"], answer["score"]) for answer in one["feedback"]),
        )
        for one in told
    )  # fmt: skip
    funnel: list[tuple[int, ...]] = [
        (rank, row["entered"], row["dropped_off"], row["still_open"]) for rank, row in enumerate(summary["funnel"], 1)
    ]
    back = sum(len(one["recovered"]) for one in told)
    outcomes = Counter(
        dropped_off=back + summary["journeys"]["dropped_off"],
        recovered=back,
        completed=summary["journeys"]["completed"],
    )
    return touchpoints, (journeys, funnel, outcomes)


def shown(line: Line) -> Truth:
    """The same, as the views say it."""
    rows = line.rows(
        "SELECT status, toUnixTimestamp64Milli(started_at), toUnixTimestamp64Milli(last_at),"
        " ifNull(toUnixTimestamp64Milli(completed_at), 0), ifNull(toUnixTimestamp64Milli(due_at), 0), touchpoints,"
        " arrayCompact(arrayFilter(rank -> rank > 0, path_stage)), furthest_stage,"
        " arrayFilter(back -> tupleElement(back, 3) > 0, arrayMap((stage, due, back) ->"
        " (stage, toUnixTimestamp64Milli(due), toUnixTimestamp64Milli(back)), drop_off_stage, drop_off_at, recovered_at)),"
        " value['MXN'], arrayMap((kind, score) -> (kind, nullIf(score, -1)), feedback_kind, feedback_score)"
        " FROM v_journeys"
    )
    journeys = Counter(tuple(tuple(cell) if isinstance(cell, list) else cell for cell in row) for row in rows)
    funnel = line.rows(
        "SELECT stage, toInt64(sum(entered)), toInt64(sum(dropped_off)), toInt64(sum(still_open)) FROM v_funnel"
        " GROUP BY stage ORDER BY stage"
    )
    outcomes = Counter(dict(line.rows("SELECT kind, count() FROM v_outcomes GROUP BY kind")))
    return journeys, funnel, outcomes


def test_the_line_says_what_is_true_live_and_after_a_replay_with_kills_in_between(tmp_path: Path) -> None:
    touchpoints, truth = simulated()
    assert all(truth[2].values()), "there are drop-offs, recoveries and completions"
    half = len(touchpoints) // 2

    def is_true() -> None:
        give_up = time.monotonic() + PATIENCE
        while (found := shown(line)) != truth and time.monotonic() < give_up:
            time.sleep(0.5)
        assert found == truth

    with Line(
        tmp_path / "line", source="vivan_los_tacos", environment={"worker": {"DESIRELINE_OUTAGE_GRACE": GRACE}}
    ) as line:
        with_each_process_killed(line, touchpoints[:half])
        send(line, touchpoints[half:]).wait(120)
        line.settle(120, revive=True)
        is_true()

        with replaying(line, DESIRELINE_OUTAGE_GRACE=GRACE):
            eventually(lambda: count(line, "journeys", 2), "the new generation writes journeys", 120)
            line.kill("sink")
            line.kill("clickhouse")
            line.start("clickhouse")
            line.start("sink")
            line.revive()
            line.settle(120, revive=True)
            line.cli("replay", "swap")
            assert line.rows("SELECT generation FROM live_generation") == [(2,)]
            is_true()
        line.pids()
