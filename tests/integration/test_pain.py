"""Pain out of real ClickHouse rows: the counts against the same counted plainly, what the sink keeps, and the commands."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from ingest.accept import Accepted, accept
from ingest.simulator.scenario import DEFAULT_START, Pain, Scenario
from ingest.simulator.simulation import simulate
from ingest.source import Source
from runtime.settings import ClickHouseSettings
from schemas.definition import GOAL, STAGE
from sinks.pain.keeping import keep
from sinks.pain.reading import counts, pain_points
from sinks.queries import query
from sinks.reader import reader
from sinks.verify import plain
from tests.integration.conftest import Tables
from tests.sink_records import HOUR, MARCH, touchpoint
from tests.stored_history import DEFINITIONS, store

pytestmark = pytest.mark.integration
DAY = 24 * HOUR
(PURCHASE,) = DEFINITIONS
NOW = MARCH + 12 * DAY
PLACES = (
    ("ads", "ad_clicked"), ("web", "menu_viewed"), ("app", "menu_viewed"), ("web", "price_checked"), ("web", "checkout"),
    ("store", "waiting"), ("call_center", "info_call"), ("email", "opened"), ("store", "paid"), ("store", "meal_finished"),
)  # fmt: skip


def histories(customers: int) -> Iterator[tuple[int, bytes]]:
    chance = Random(3)
    for customer in range(customers):
        at = MARCH + chance.randrange(4 * DAY)
        for number in range(chance.randint(1, 10)):
            channel, name = chance.choice(PLACES)
            yield customer, touchpoint(
                number, event_id=Source("shop").event_id(f"{customer}/{number}"), channel=channel, name=name, occurred_at=at,
                received_at=at, sequence=None, stream=None, feedback=None, properties={},
            )  # fmt: skip
            at += chance.choice((60_000, HOUR, 20 * HOUR, 3 * DAY, 8 * DAY)) + chance.randrange(HOUR)


def plainly(events: list[plain.Event]) -> Iterator[tuple[tuple[Any, ...], dict[str, int]]]:
    """(cell, what happened) for every decided step of a customer's journeys, touchpoint by touchpoint."""
    for journey in plain.journeys(plain.in_order(events), 0, PURCHASE):
        records = [record for _, record in journey]
        stages = [record.rules[0] & STAGE for record in records]
        goals = [step for step, record in enumerate(records) if record.rules[0] & GOAL]
        patience = [PURCHASE.patience[rank] for rank in stages]
        last_stage = next(rank for rank in reversed(stages) if rank)
        silent = not goals and records[-1].at + PURCHASE.patience[last_stage] < NOW
        staged = [step for step, rank in enumerate(stages) if rank]
        for place, step in enumerate(staged):
            record, one = records[step], staged[place + 1] if place + 1 < len(staged) else None
            if (
                (goals and record.at >= records[goals[0]].at)
                or (one is None and not silent)
                or record.at + patience[step] >= NOW
            ):
                continue
            following = records[step + 1] if step + 1 < len(records) else None
            before = records[staged[place - 1]] if place else None
            came_from = f"{before.channel} {before.name}" if before else ""
            yield (
                (record.channel, record.name, stages[step], records[0].channel, came_from),
                {
                    "passes": 1,
                    "dropped": one is None,
                    "followed": one is not None,
                    "repeated": one is not None and (records[one].channel, records[one].name) == (record.channel, record.name),
                    "escalated": bool(one and following and following.channel == "call_center" != record.channel),
                    "reached": one is not None and bool(goals),
                    "fell_silent": one is None
                    or bool(following and following.at - record.at > patience[step])
                    or records[one].at - records[one - 1].at > patience[step],
                },
            )  # fmt: skip


def test_the_counts_are_those_of_the_journeys(database: ClickHouseSettings) -> None:
    events = store(database, histories(500), NOW)
    expected: defaultdict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    journeys: Counter[tuple[str, str]] = Counter()
    for theirs in events.values():
        for key, what in plainly(theirs):
            expected[key].update(what)
        for journey in plain.journeys(plain.in_order(theirs), 0, PURCHASE):
            if journey[0][1].at <= NOW:
                journeys.update({(one.channel, one.name) for _, one in journey})
    with reader(database) as one:
        found = counts(one, "purchase", 0, NOW)
        sql = f"SELECT countIf(fell_silent) FROM ({query('pain_steps')})"
        asked = {"definition": "purchase", "since": 0, "now": NOW, "first": 0, "last": 2**62}
        ((silences,),) = one.ask(sql, asked).rows
    names = ("passes", "dropped", "followed", "repeated", "escalated", "reached")
    assert {cell[:5]: tuple(getattr(cell, name) for name in names) for cell in found.cells} == {
        key: tuple(int(what[name]) for name in names) for key, what in expected.items()
    }
    assert sum(cell.repeated for cell in found.cells) > 10
    assert sum(cell.escalated for cell in found.cells) > 10
    assert {place: passed for place, (_, passed) in found.journeys.items()} == journeys
    assert silences == sum(what["fell_silent"] for what in expected.values())
    waited = sum(cell.waited for cell in found.cells) / sum(cell.followed for cell in found.cells)
    assert 0.02 < waited < 0.11


def test_moments_of_truth_are_those_of_the_journeys(database: ClickHouseSettings) -> None:
    events = store(database, histories(500), NOW)
    nexts: defaultdict[tuple[str, str], defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for theirs in events.values():
        for journey in plain.journeys(plain.in_order(theirs), 0, PURCHASE):
            records = [record for _, record in journey if record.rules[0] & STAGE]
            goals = [step for step, record in enumerate(records) if record.rules[0] & GOAL]
            walked = records[: goals[0] + 1] if goals else records
            seen = set()
            for step, record in enumerate(walked[:-1] if goals else walked):
                if (record.channel, record.name) not in seen:
                    following = walked[step + 1] if step + 1 < len(walked) else None
                    counted = nexts[record.channel, record.name][
                        f"{following.channel} {following.name}" if following else ""
                    ]
                    counted[0] += 1
                    counted[1] += bool(goals)
                seen.add((record.channel, record.name))
    expected = {}
    for place, following_it in nexts.items():
        n = sum(one for one, _ in following_it.values())
        p = sum(reached for _, reached in following_it.values()) / n
        explained = sum(one * (reached / one - p) ** 2 for one, reached in following_it.values()) / n
        if n >= 30:
            expected[place] = (
                n,
                pytest.approx(p),
                pytest.approx(explained / (p * (1 - p)) if 0 < p < 1 else 0, abs=1e-9),
            )
    with reader(database) as one:
        rows = one.ask("SELECT channel, touchpoint, journeys, conversion, decides, weight FROM v_moments_of_truth").rows
    assert {row[:2]: row[2:5] for row in rows} == expected
    assert sum(row[5] for row in rows) == pytest.approx(1)


def company(scenario: Scenario, first: int = 0) -> Iterator[tuple[int, bytes]]:
    for sent in simulate(scenario):
        found = accept(sent.touchpoint, Source("vivan"), sent.when)
        assert isinstance(found, Accepted)
        yield first + sent.customer, found.value


@pytest.fixture(scope="module")
def weeks() -> tuple[list[tuple[int, bytes]], int]:
    """A company whose guests wait too long for two weeks; then the kitchen is rebuilt. And when that was."""
    changed = DEFAULT_START + 14 * DAY
    before = Scenario(1, 1_200, duration=14 * DAY, pain=Pain("waiting", 0.4))
    after = Scenario(2, 1_200, start=changed, duration=14 * DAY, pain=None)
    return [*company(before), *company(after, 10_000)], changed


@pytest.fixture
def repaired(
    database: ClickHouseSettings, weeks: tuple[list[tuple[int, bytes]], int], monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> ClickHouseSettings:  # fmt: skip
    monkeypatch.setenv("CLICKHOUSE_URL", database.url)
    monkeypatch.setenv("CLICKHOUSE_NATIVE_PORT", str(database.native_port))
    monkeypatch.setenv("DESIRELINE_HOME", str(tmp_path_factory.mktemp("home")))
    store(database, weeks[0], weeks[1] + 14 * DAY)
    return database


def said(*arguments: str) -> str:
    result: Result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_commands_and_the_view_name_what_hurts_and_what_helped(
    repaired: ClickHouseSettings, weeks: tuple[list[tuple[int, bytes]], int]
) -> None:
    found = json.loads(said("pain", "points", "--since", "10000d", "--json"))["points"]
    assert (found[0]["touchpoint"], found[0]["hurts"]) == ("waiting", True)
    assert found[0]["drop_off"]["low"] > 0.1
    assert found[0]["low_feedback"]["low"] > 0
    assert len(found[0]["evidence"]) == 3
    assert found[0]["cost"]["MXN"] > 0
    text = said("pain", "points", "--since", "10000d")
    assert "✗ store waiting" in text
    assert found[0]["evidence"][0]["person_id"] in text

    now = weeks[1] + 14 * DAY
    rows = keep(repaired, now)
    with reader(repaired) as one:
        points = pain_points(one, "purchase", now - 30 * DAY, now)
        kept = one.ask(
            "SELECT channel, touchpoint, hurts, severity, cost, drop_off_low, low_feedback, waits "
            "FROM v_pain_points ORDER BY place"
        ).rows
    assert rows == len(points) == len(kept)
    assert [tuple(row) for row in kept] == [
        (
            point.channel, point.touchpoint, point.hurts, pytest.approx(point.severity), point.cost,
            pytest.approx(point.drop_off.low) if point.drop_off else None,
            pytest.approx(point.low_feedback.share) if point.low_feedback else None,
            pytest.approx(point.waits.share) if point.waits else None,
        )
        for point in points
    ]  # fmt: skip

    when = "2025-01-20T06:00:00Z"
    helped = json.loads(said("pain", "change", "waiting", "--at", when, "--json"))
    assert helped["drop_off"]["verdict"] == "better"
    assert helped["low_feedback"]["verdict"] == "better"
    assert helped["elsewhere"]["verdict"] == "no difference beyond chance"
    assert "better: " in said("pain", "change", "waiting", "--at", when, "--tz", "America/Mexico_City")
    assert "not enough data" in said("pain", "change", "waiting", "--at", "2025-02-02T00:00:00Z")

    moments = json.loads(said("pain", "moments", "--json"))["moments"]
    assert moments[0]["touchpoint"] == "waiting"
    assert "store waiting" in said("pain", "moments")


def test_of_nothing_the_commands_say_so(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKHOUSE_URL", tables.settings.url)
    monkeypatch.setenv("CLICKHOUSE_NATIVE_PORT", str(tables.settings.native_port))
    for arguments, sentence in (
        (("pain", "points"), "no journey of purchase began within 30d"),
        (("pain", "moments"), "nothing can be said yet"),
        (("pain", "change", "waiting", "--at", "2999-01-01"), "is not past yet"),
        (("pain", "change", "waiting", "--at", "yesterday"), "is not a time"),
        (("experience",), "nobody has given feedback"),
    ):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 1
        assert sentence in result.stderr
    assert keep(tables.settings, NOW) == 0
