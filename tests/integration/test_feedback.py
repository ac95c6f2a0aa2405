"""What answers are about, in the view and in the list, against the same said plainly; and who cares for whom."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any
from uuid import UUID

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from ingest.source import Source
from processors.experience import intensity
from runtime.settings import ClickHouseSettings
from schemas.definition import STAGE
from schemas.feedback import about
from sinks.follow_ups import Faster, change, follow_ups
from sinks.reader import connect, reader
from sinks.verify import plain
from tests.sink_records import HOUR, MARCH, touchpoint
from tests.stored_history import DEFINITIONS, store

pytestmark = pytest.mark.integration
AS_OF = MARCH + 400 * 24 * HOUR
SOURCES = (Source("shop"), Source("survey"))
PLACES = (
    ("ads", "ad_clicked"), ("web", "menu_viewed"), ("web", "checkout"), ("store", "waiting"), ("store", "paid"),
    ("store", "meal_finished"), ("app", "points_earned"), ("email", "survey_answered"), ("call_center", "complaint"),
    ("email", "opened"),
)  # fmt: skip
FELT: tuple[dict[str, Any], ...] = (
    *({"kind": "nps", "score": score} for score in (0, 6, 7, 9, 10)), {"kind": "csat", "score": 2},
    {"kind": "ces", "score": 5}, {"kind": "stars", "score": 4}, {"kind": "text", "text": "so", "sentiment": "negative"},
    {"kind": "text", "text": "well"},
)  # fmt: skip


class Sent:
    """Touchpoints of some customers from two sources, with answers about anything."""

    def __init__(self, seed: int, customers: int) -> None:
        self.chance = Random(seed)
        self.named: dict[str, tuple[str, str]] = {}  # event → (source, what it says its answer is about)
        self.values = [one for customer in range(customers) for one in self._customer(customer)]

    def _customer(self, customer: int) -> Iterator[tuple[int, bytes]]:
        chance, at = self.chance, MARCH + self.chance.randrange(HOUR)
        sent: list[str] = []
        for number in range(chance.randint(1, 14)):
            at += chance.choice((1, 60_000, HOUR, 30 * HOUR, 24 * 40 * HOUR, 24 * 200 * HOUR))
            source, own = chance.choice(SOURCES), f"{customer}-{number}"
            channel, name = chance.choice(PLACES)
            felt: dict[str, Any] | None = None
            if chance.random() < 0.4:
                felt = dict(chance.choice(FELT))
                if chance.random() < 0.5:
                    felt["about"] = chance.choice([*sent, f"{customer - 1}-0", "nobody's"])
            event = source.event_id(own)
            self.named[UUID(event).hex] = source.name, felt.get("about", "") if felt else ""
            sent.append(own)
            yield customer, touchpoint(
                number, event_id=event, source=source.name, source_event_id=own, channel=channel, name=name,
                occurred_at=at, received_at=at, sequence=None, stream=None, value=None, feedback=felt,
                properties={"segment": "family"} if number == 0 else {},
            )  # fmt: skip


def expected(sent: Sent, events: list[plain.Event]) -> dict[tuple[str, bool], tuple[Any, ...]]:
    """(event, in a journey) → bound, time, channel, name, stage, feeling of every answer of a customer."""
    found: dict[tuple[str, bool], tuple[Any, ...]] = {}
    ordered = plain.in_order(events)
    (journeys,) = ([*plain.journeys(ordered, place, definition)] for place, definition in enumerate(DEFINITIONS))
    own = {event: journey for journey in journeys for event, _ in journey}
    for event, record in ordered:
        if not record.feedback:
            continue
        journey = own.get(event, [])
        stages = [one.rules[0] & STAGE for _, one in journey]
        carried: list[int] = []
        for stage in stages:
            carried.append(stage or (carried[-1] if carried else 0))
        source, said = sent.named[event]
        meant = [UUID(one.event_id(said)).hex for one in sorted(SOURCES, key=lambda one: one.name != source)]
        by_id = next((one for wanted in meant for one in ordered if said and one[0] == wanted), None)
        step = next((step for step, one in enumerate(journey) if one[0] == event), None)
        rule = None
        if step is not None:
            rule = about(step, stages, {place for place, (_, one) in enumerate(journey) if one.feedback})
        if by_id:
            place = next((place for place, one in enumerate(journey) if one[0] == by_id[0]), None)
            bound, meant_one, stage = "id", by_id[1], 0 if place is None else carried[place]
        elif rule is not None:
            bound, meant_one, stage = "rule", journey[rule][1], carried[rule]
        else:
            bound, meant_one, stage = "itself", record, 0 if step is None else carried[step]
        felt = intensity(record.feedback, record.score, record.sentiment)
        found[event, bool(journey)] = (
            bound, meant_one.at, meant_one.channel, meant_one.name, stage, None if felt is None else round(felt, 6),
        )  # fmt: skip
    return found


def test_every_answer_is_about_what_it_is_about(database: ClickHouseSettings) -> None:
    sent = Sent(1, 300)
    events = store(database, sent.values, AS_OF)
    plainly: dict[tuple[str, bool], tuple[Any, ...]] = {}
    for theirs in events.values():
        plainly |= expected(sent, theirs)
    with reader(database) as one:
        rows = one.ask(
            "SELECT event_id, journey_id IS NOT NULL, bound, toUnixTimestamp64Milli(about_at), channel, touchpoint, stage, "
            "round(feeling, 6) FROM v_feedback"
        ).rows
    assert {(row[0].hex, bool(row[1])): tuple(row[2:]) for row in rows} == plainly
    assert len(rows) == len(plainly)
    assert {row[0] for row in plainly.values()} == {"id", "rule", "itself"}


def test_what_an_answer_counts_as(database: ClickHouseSettings) -> None:
    store(database, Sent(2, 60).values, AS_OF)
    with reader(database) as one:
        rows = one.ask(
            "SELECT DISTINCT kind, ifNull(score, -1), nps, satisfied, easy, low FROM v_feedback ORDER BY 1, 2, 6"
        ).rows
    assert rows == [
        ("ces", 5, None, None, 1, 0),
        ("csat", 2, None, 0, None, 1),
        ("nps", 0, -1, None, None, 1),
        ("nps", 6, -1, None, None, 1),
        ("nps", 7, 0, None, None, 0),
        ("nps", 9, 1, None, None, 0),
        ("nps", 10, 1, None, None, 0),
        ("stars", 4, None, None, None, 0),
        ("text", -1, None, None, None, 1),
        ("text", -1, None, None, None, None),
    ]


@pytest.fixture
def shop(
    database: ClickHouseSettings, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> ClickHouseSettings:
    """Ada was kept waiting and said so; Bob loved it. The commands find this database."""
    monkeypatch.setenv("CLICKHOUSE_URL", database.url)
    monkeypatch.setenv("CLICKHOUSE_NATIVE_PORT", str(database.native_port))
    monkeypatch.setenv("DESIRELINE_HOME", str(tmp_path_factory.mktemp("home")))
    values = []
    for customer, score in ((0, 2), (1, 10)):
        for number, (channel, name) in enumerate(PLACES[3:8]):
            felt = {"kind": "nps", "score": score, "text": "¡Nunca más!"} if name == "survey_answered" else None
            event = SOURCES[0].event_id(f"{customer}-{number}")
            values.append(
                (customer, touchpoint(number, event_id=event, channel=channel, name=name, source="shop", feedback=felt,
                                      value=None, occurred_at=MARCH + customer * HOUR + number * 60_000))
            )  # fmt: skip
    store(database, values, AS_OF)
    return database


def desireline(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def test_the_list_tells_who_about_what_and_the_story(shop: ClickHouseSettings) -> None:
    listed = desireline("feedback", "list", "--since", "10000d", "--json")
    bob, ada = map(json.loads, listed.stdout.splitlines())
    assert (bob["wanted"], ada["wanted"], ada["nps"]) == ("thank", "call_back", 2)
    assert ada["about"] == {"channel": "store", "touchpoint": "meal_finished"}
    assert ada["text"] == "¡Nunca más!"
    assert [step["touchpoint"] for step in ada["did"]] == [name for _, name in PLACES[3:8]]
    text = desireline("feedback", "list", "--since", "10000d", "--wanted", "call_back").stdout
    assert "about store meal_finished" in text
    assert "store waiting → store paid → store meal_finished" in text
    assert "thank" not in text
    assert "nobody" in desireline("feedback", "list", "--since", "1d").stdout


def test_a_customer_is_taken_once_and_done_once(shop: ClickHouseSettings) -> None:
    (one,) = (json.loads(line) for line in desireline(
        "feedback", "list", "--since", "10000d", "--wanted", "call_back", "--json").stdout.splitlines())  # fmt: skip
    id = one["event_id"][:10]
    assert "taken by ann" in desireline("feedback", "take", id, "--by", "ann").stdout
    second = desireline("feedback", "take", id, "--by", "bob")
    assert second.exit_code == 1
    assert "taken by ann since" in second.stderr
    assert "done by ann" in desireline("feedback", "done", id, "--by", "ann").stdout
    assert "call back" not in desireline("feedback", "list", "--since", "10000d").stdout
    assert "done by ann" in desireline("feedback", "list", "--since", "10000d", "--all").stdout
    assert desireline("feedback", "release", id).exit_code == 0
    assert desireline("feedback", "release", id).exit_code == 1
    assert "no detractor or promoter" in desireline("feedback", "take", "ffff").stderr


def test_of_two_who_take_the_same_at_once_one_is_told(shop: ClickHouseSettings) -> None:
    with reader(shop) as one, connect(shop) as client:
        read = follow_ups(one, wanted="thank")[0]
        change(client, read, "taken", "ann")
        with pytest.raises(Faster, match="ann was faster"):
            change(client, read, "taken", "bob")
        assert [(found.state, found.by) for found in follow_ups(one, wanted="thank")] == [("taken", "ann")]


@pytest.mark.parametrize("by", ["touchpoint", "stage", "channel", "segment"])
def test_figures_come_with_their_intervals(shop: ClickHouseSettings, by: str) -> None:
    found = json.loads(desireline("experience", "--by", by, "--json").stdout)
    (group,) = found["groups"]
    assert group["nps"]["score"] == 0
    assert group["nps"]["adjusted"]["low"] < 0 < group["nps"]["adjusted"]["high"]
    assert group["experience"]["estimate"] == pytest.approx(0.2)
    assert (
        group["group"] == {"touchpoint": "store meal_finished", "stage": "use", "channel": "store", "segment": ""}[by]
    )
    assert "of 2" in desireline("experience", "--by", by).stdout
