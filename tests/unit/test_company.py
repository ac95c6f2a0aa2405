"""The restaurant of the demo: its journeys mean what its touchpoints are, also told fast; who comes back is counted."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

from cli import company
from ingest.simulator.moments import ALL
from ingest.simulator.scenario import DAY, Scenario
from ingest.simulator.simulation import simulate
from schemas.definition import STAGE, Rules, load_definitions
from schemas.person import FoldRecord
from sinks.verify.plain import in_order
from tests.oracle import Event, journeys

PURCHASE, COME_BACK = load_definitions(company.JOURNEYS)


def test_its_stages_are_those_that_its_touchpoints_are() -> None:
    for moment in ALL:
        assert PURCHASE.number(moment.channel, moment.name, {}) & STAGE == (moment.stage or 0), moment
    shipped = load_definitions()[0]
    assert PURCHASE.patience == shipped.patience, "the ledger goes by the patience of the eight stages"
    assert [stage.name for stage in PURCHASE.stages] == [stage.name for stage in shipped.stages]


def test_told_fast_every_time_is_shorter_by_the_same_factor(tmp_path: Path) -> None:
    file = tmp_path / "journeys.yaml"
    file.write_text(company.journeys(), encoding="utf-8")
    for fast, slow in zip(load_definitions(file), (PURCHASE, COME_BACK), strict=True):
        assert [own * company.SPEED for own in fast.patience] == list(slow.patience)
        assert fast.ends_after * company.SPEED == slow.ends_after
        assert [stage.match for stage in fast.stages] == [stage.match for stage in slow.stages]
        assert (fast.name, fast.start, fast.goal) == (slow.name, slow.start, slow.goal)


def test_who_paid_comes_back_or_not() -> None:
    """Each bill begins one; it is completed by the next order of the same customer, if there is one."""
    bills = orders = found = completed = 0
    rules = Rules([COME_BACK])
    lives: dict[int, list[Event]] = defaultdict(list)
    for number, sent in enumerate(simulate(Scenario(seed=4, customers=400, duration=120 * DAY))):
        told = json.loads(sent.touchpoint)
        record = FoldRecord(sent.when, told["channel"], told["name"], rules.of(told["channel"], told["name"], {}))
        lives[sent.customer].append((f"{number:032x}", record))
    for life in lives.values():
        ordered = in_order(life)
        paid = [at for at, (_, record) in enumerate(ordered) if record.name in ("paid", "order_paid")]
        bills += len(paid)
        orders += sum(
            any(record.name in ("ordered", "checkout_started") for _, record in ordered[at + 1 : following])
            for at, following in pairwise([*paid, len(ordered)])
        )
        for journey in journeys(ordered, 0, COME_BACK):
            found += 1
            completed += any(record.rules[0] & STAGE == COME_BACK.goal_rank for _, record in journey)
    assert found == bills > 200
    assert completed == orders
    assert 0.2 < completed / found < 0.8
