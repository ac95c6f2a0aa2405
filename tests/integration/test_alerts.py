"""The counts of alerts out of real ClickHouse rows, against the same counted plainly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any, NamedTuple

import msgspec
import pytest
from typer.testing import CliRunner

from alerts import reading
from alerts.causes import Cause, alert
from alerts.chart import Run
from alerts.counts import MINUTE_MS, WEEK, Key, Series
from cli.main import app
from schemas.alert import Alert
from schemas.definition import load_definitions
from sinks.reader import reader
from tests.integration.conftest import Tables
from tests.sink_records import MARCH, identifier, journey

pytestmark = pytest.mark.integration
DAY_MS = 86_400_000
START = MARCH // MINUTE_MS
GOAL = 5
(PURCHASE,) = load_definitions()
CHANNELS = ("web", "app", "store")


class Path(NamedTuple):
    """A journey: times in ms, stages (0: none), channels."""

    times: list[int]
    stages: list[int]
    channels: list[str]


def walked(number: int) -> Path:
    chance = Random(number)
    at, times = MARCH + chance.randrange(2 * DAY_MS), []
    for _ in range(chance.randint(1, 12)):
        times.append(at)
        at += chance.choice((chance.randrange(300_000), chance.randrange(3 * 3_600_000), chance.randrange(9 * DAY_MS)))
    stages = [chance.choice((1, 2, 3, 4, *([0] if step else []))) for step in range(len(times))]
    if chance.random() < 0.5:
        times.append(at)
        stages += [GOAL]
        if chance.random() < 0.5:
            times.append(at + chance.randrange(DAY_MS))
            stages += [6]
    return Path(times, stages, [chance.choice(CHANNELS) for _ in times])


def row(number: int, path: Path) -> bytes:
    completed = path.times[path.stages.index(GOAL)] if GOAL in path.stages else 0
    return journey(
        number, started_at=path.times[0], last_at=path.times[-1], path_time=path.times, path_stage=path.stages,
        path_channel=path.channels, path_touchpoint=[f"t{step}" for step in range(len(path.times))],
        completed_at=completed,
    )  # fmt: skip


def plainly(path: Path) -> Iterator[tuple[Any, ...]]:
    """(minute, series, what, age) for everything that happened in a journey, touchpoint by touchpoint."""
    stage = began = 0
    began_in, completed = "", False
    for step, at in enumerate(path.times):
        before, since = stage, path.times[step - 1] if step else 0
        stage = path.stages[step] or stage
        silent = bool(step) and at - since > PURCHASE.patience[before]
        if step and (stage != before or silent):
            if not completed:
                yield from _decided(since, before, path.channels[step - 1], silent)
            if stage > before:
                yield at // MINUTE_MS, Series("purchase", before, began_in), "moved_on", at // MINUTE_MS - began
        completed = completed or stage == GOAL
        if not step or stage != before or silent:
            began, began_in = at // MINUTE_MS, path.channels[step]
            yield began, Series("purchase", stage, began_in), "entered", 0
    if not completed:
        yield from _decided(path.times[-1], stage, path.channels[-1], True)


def _decided(at: int, stage: int, channel: str, silent: bool) -> Iterator[tuple[Any, ...]]:
    minute = at // MINUTE_MS + PURCHASE.patience[stage] // MINUTE_MS
    yield minute, Series("purchase", stage, channel), "decided", 0
    if silent:
        yield minute, Series("purchase", stage, channel), "dropped", 0


def test_the_counts_of_every_minute_are_those_of_the_journeys(tables: Tables) -> None:
    paths = [walked(number) for number in range(400)]
    tables.write("journeys", [row(number, path) for number, path in enumerate(paths)])
    tables.write("journeys", [row(7, paths[7])])  # twice is once
    last = START + 6 * WEEK
    expected: Counter[tuple[Any, ...]] = Counter()
    for path in paths:
        expected.update(one for one in plainly(path) if one[0] <= last)
    found: Counter[tuple[Any, ...]] = Counter()
    with reader(tables.settings) as one:
        following = START
        for minute, counts in reading.minutes(one, START, last, 26 * WEEK):
            assert minute == following
            following += 1
            for series, count in counts.items():
                found[minute, series, "entered", 0] += count.entered
                found[minute, series, "decided", 0] += count.decided
                found[minute, series, "dropped", 0] += count.dropped
                for age, stays in count.progressed:
                    found[minute, series, "moved_on", age] += stays
    assert following == last + 1
    assert +found == expected
    assert {what for _, _, what, _ in found} == {"entered", "moved_on", "decided", "dropped"}


def test_one_minute_alone_is_what_it_is_among_all(tables: Tables) -> None:
    tables.write("journeys", [row(number, walked(number)) for number in range(200)])
    with reader(tables.settings) as one:
        whole = dict(reading.minutes(one, START, START + WEEK, 26 * WEEK))
        busy = [minute for minute, counts in whole.items() if counts][::40]
        assert len(busy) > 5
        for minute in busy:
            assert list(reading.minutes(one, minute, minute, 26 * WEEK)) == [(minute, whole[minute])]


def test_an_alert_knows_its_customers(tables: Tables) -> None:
    at = MARCH + 3_600_000

    stuck = Path([at, at + 1_000], [3, 4], ["app", "web"])
    gone_on = Path([*stuck.times, at + 2_000], [3, 4, 5], ["app", "web", "web"])
    elsewhere = Path([at], [4], ["app"])
    later = Path([at + 600_000], [4], ["web"])
    for number, path in enumerate((stuck, gone_on, elsewhere, later)):
        tables.write("journeys", [row(number, path)])
    minute = at // MINUTE_MS
    cause = Cause((Key(Series("purchase", 4, "web"), "progress"),), minute + 5, Run(minute, 20, 5, 15.0, 4.0))
    with reader(tables.settings) as one:
        (found,) = reading.customers(one, alert(cause, "opened", minute + 5), 10, WEEK)
    assert found.person_id == identifier("person", 0).hex
    assert found.journey_id == identifier("journey", 0).hex
    assert (found.at, found.did) == (at + 1_000, ["app·t0", "web·t1"])


MEALS = (12, 14)  # hours in which the company has customers
INCIDENT = (37, 12 * 60 + 40)  # day and minute of the day from which on two of three checkouts fail, for half an hour


def checkouts(days: int) -> Iterator[bytes]:
    """Ten a minute at noon; eight of them pay within three minutes."""
    chance, number = Random(5), 0
    for day in range(days):
        for of_day in range(MEALS[0] * 60, MEALS[1] * 60):
            fails = day == INCIDENT[0] and INCIDENT[1] <= of_day < INCIDENT[1] + 30
            for _ in range(10):
                at = MARCH + day * DAY_MS + of_day * MINUTE_MS + chance.randrange(MINUTE_MS)
                pays = chance.random() < (0.27 if fails else 0.8)
                times = [at, at + chance.randrange(20_000, 170_000)] if pays else [at]
                number += 1
                yield row(number, Path(times, [4, 5][: len(times)], ["web"] * len(times)))


@pytest.fixture
def noons(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> Tables:
    """Forty days of checkouts, and a command line that reads them."""
    tables.write("journeys", checkouts(40))
    monkeypatch.setenv("CLICKHOUSE_URL", tables.settings.url)
    monkeypatch.setenv("CLICKHOUSE_NATIVE_PORT", str(tables.settings.native_port))
    return tables


def day(number: int) -> str:
    return datetime.fromtimestamp(MARCH / 1000 + number * 86_400, UTC).isoformat()


def test_a_backtest_finds_the_incident_and_nothing_else(noons: Tables) -> None:
    said = CliRunner().invoke(app, ["alerts", "backtest", "--from", day(30), "--to", day(40), "--json"])
    assert said.exit_code == 0, said.output
    found = [msgspec.json.decode(line, type=Alert) for line in said.output.splitlines()]
    assert [alert.change for alert in found] == ["opened", "resolved"]
    opened, resolved = found
    start = MARCH + INCIDENT[0] * DAY_MS + INCIDENT[1] * MINUTE_MS
    assert start < opened.opened_at <= start + 15 * MINUTE_MS
    assert start + 30 * MINUTE_MS <= resolved.resolved_at <= start + 60 * MINUTE_MS
    assert (opened.stage, opened.channel, opened.measure) == (4, "web", "progress")
    shown = CliRunner().invoke(app, ["alerts", "backtest", "--from", day(36), "--to", day(40), "--tz", "Europe/Berlin"])
    first, last, count = shown.output.splitlines()
    assert "opened    purchase · decision · web: " in first
    assert "usually 69%" in first
    assert "resolved" in last
    assert count == "1 alert in 4 d"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--from", "yesterday"], "is not a time"),
        (["--from", "1w", "--to", "2w"], "is not before"),
        (["--from", "1w", "--tz", "Mars"], "is not a time zone"),
    ],
)
def test_mistakes_are_told_in_a_sentence(options: list[str], says: str) -> None:
    said = CliRunner().invoke(app, ["alerts", "backtest", *options])
    assert said.exit_code == 1
    assert says in said.output
