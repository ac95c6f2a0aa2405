"""The simulated company: repeatable, valid, in order, and streaming."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from itertools import islice, pairwise
from typing import Any

import pytest

from ingest.accept import Accepted, accept
from ingest.simulator import moments
from ingest.simulator.chance import Chance
from ingest.simulator.hours import arrivals
from ingest.simulator.ledger import Ledger
from ingest.simulator.scenario import DAY, DEFAULT_START, HOUR, Pain, Scenario
from ingest.simulator.simulation import simulate
from ingest.source import Source
from schemas.definition import STAGE, load_definitions
from schemas.touchpoint import Touchpoint

UNTIDY = Scenario(
    seed=5, customers=400, duration=30 * DAY, duplicates=0.1, late=0.2, late_by=DAY, corrections=0.3, shared_devices=0.5
)


def output_of(scenario: Scenario) -> str:
    digest = hashlib.sha256()
    for sent in simulate(scenario):
        digest.update(b"%d %d %b\n" % sent)
    return digest.hexdigest()


def events(scenario: Scenario) -> list[dict[str, Any]]:
    return [json.loads(sent.touchpoint) for sent in simulate(scenario)]


def test_the_same_scenario_gives_the_same_bytes() -> None:
    assert output_of(UNTIDY) == output_of(UNTIDY)
    assert output_of(Scenario(seed=1, customers=50)) != output_of(Scenario(seed=2, customers=50))


def test_chance_is_the_same_on_every_machine() -> None:
    chance = Chance(1, "customer", 7)
    assert [chance.draw() for _ in range(3)] == [0.013754477193374082, 0.022496547776184594, 0.1722826666441476]


def test_every_touchpoint_is_one_that_the_collector_accepts() -> None:
    source = Source("vivan_los_tacos")
    for sent in simulate(UNTIDY):
        Touchpoint.model_validate_json(sent.touchpoint)
        accepted = accept(sent.touchpoint, source, sent.when)
        assert isinstance(accepted, Accepted), accepted


def test_stages_are_those_of_the_default_definition() -> None:
    definition = load_definitions()[0]
    for moment in moments.ALL:
        assert definition.number(moment.channel, moment.name, {}) & STAGE == (moment.stage or 0), moment
    assert [stage.name for stage in definition.stages] == [stage.name for stage in moments.Stage]


def test_touchpoints_arrive_in_the_order_of_time() -> None:
    whens = [sent.when for sent in simulate(UNTIDY)]
    assert whens == sorted(whens)
    tidy = events(Scenario(customers=400))
    times = [event["occurred_at"] for event in tidy]
    assert times == sorted(times)


def test_sequences_count_every_stream_without_a_gap() -> None:
    streams: dict[str, list[int]] = defaultdict(list)
    for event in events(Scenario(customers=400, shared_devices=0.5)):
        if "stream" in event:
            streams[event["stream"]].append(event["sequence"])
    assert len(streams) > 100
    assert all(found == list(range(len(found))) for found in streams.values())


def test_a_customer_never_does_two_things_at_once_even_when_time_flies() -> None:
    times: dict[int, list[str]] = defaultdict(list)
    scenario = Scenario(customers=200, duration=60 * DAY, speed=86_400, shared_devices=0.5)
    for sent in simulate(scenario):
        times[sent.customer].append(json.loads(sent.touchpoint)["occurred_at"])
        assert sent.when <= DEFAULT_START + 61_000
    assert all(a < b for of_one in times.values() for a, b in pairwise(of_one))


def test_nobody_shares_a_kiosk_at_the_same_time() -> None:
    """Between a nameless touchpoint at a kiosk and the next name there, nobody else uses it."""
    at_kiosks: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    for sent in simulate(Scenario(customers=3_000, shared_devices=1.0)):
        event = json.loads(sent.touchpoint)
        kiosk = event["identifiers"].get("device_id", "")
        if kiosk.startswith("k-"):
            at_kiosks[kiosk].append((sent.customer, "customer_id" in event["identifiers"]))
    assert max(len({customer for customer, _ in used}) for used in at_kiosks.values()) > 20
    for used in at_kiosks.values():
        assert [named for _, named in used] == [False, True] * (len(used) // 2)
        assert all(a[0] == b[0] for a, b in zip(used[::2], used[1::2], strict=True))


def test_a_million_customers_start_at_once_and_are_not_held() -> None:
    company = simulate(Scenario(customers=10**6, duration=365 * DAY))
    assert len(list(islice(company, 1_000))) == 1_000
    assert len(company.ledger._under_way) < 1_000  # only those who are under way


def test_all_customers_arrive_in_order_and_follow_the_hours() -> None:
    found = list(arrivals(Scenario(customers=20_000, duration=7 * DAY)))
    assert len(found) == 20_000
    assert found == sorted(found)
    assert found[0] >= DEFAULT_START
    assert found[-1] < DEFAULT_START + 7 * DAY
    by_hour = Counter((at - DEFAULT_START) // HOUR % 24 for at in found)  # the start is midnight, local time
    assert by_hour[3] * 10 < by_hour[13]
    by_day = Counter((at - DEFAULT_START) // DAY for at in found)
    assert by_day[0] < by_day[5]


def test_half_a_day_and_a_bit_ends_when_it_should() -> None:
    scenario = Scenario(customers=500, duration=12 * HOUR + 1_234)
    assert all(at < scenario.start + scenario.duration for at in arrivals(scenario))


def test_what_is_sent_untidily_is_the_same_as_what_is_sent_tidily() -> None:
    """Newest revision of each event, without what was retracted: duplicates, delays and corrections leave no trace."""
    tidy = {
        event["event_id"]: event
        for event in events(Scenario(seed=5, customers=400, duration=30 * DAY, shared_devices=0.5))
    }
    newest: dict[str, dict[str, Any]] = {}
    delivered: Counter[tuple[str, int]] = Counter()
    ledger = Ledger()
    for sent in simulate(UNTIDY, ledger):
        event = json.loads(sent.touchpoint)
        revision = event.get("revision", 0)
        delivered[event["event_id"], revision] += 1
        if event["event_id"] not in newest or newest[event["event_id"]].get("revision", 0) < revision:
            newest[event["event_id"]] = event
    live = {
        key: {name: value for name, value in event.items() if name != "revision"}
        for key, event in newest.items()
        if not event.get("retracted")
    }
    assert live == tidy
    counts = ledger.deliveries
    assert counts["deliveries"] == delivered.total()
    assert counts["sent"] == len(delivered)
    assert counts["duplicates"] == sum(times - 1 for times in delivered.values()) > 100
    assert counts["retracted"] == len(newest) - len(live) > 10
    assert counts["corrections"] + counts["retracted"] == sum(revision == 2 for _, revision in delivered)
    assert 0.15 < counts["late"] / counts["sent"] < 0.25


def test_signed_in_customers_are_named_everywhere() -> None:
    for event in events(Scenario(customers=200, signed_in=True, shared_devices=0.5)):
        assert "customer_id" in event["identifiers"], event


def test_stopping_leaves_nothing_half_told() -> None:
    """The touchpoint that names a nameless one still comes; nothing else begins."""
    company = simulate(Scenario(customers=2_000, shared_devices=1.0))
    found = []
    for sent in company:
        found.append(json.loads(sent.touchpoint))
        if len(found) == 3_000:
            company.stop()
    assert 3_000 <= len(found) < 3_100
    kiosk_views = sum(event["name"] == "product_viewed" for event in found)
    assert (
        kiosk_views == sum(event["identifiers"].get("device_id", "").startswith("k-") for event in found) - kiosk_views
    )
    summary = company.ledger.finish(company.reached)
    assert summary["touchpoints"] == len(found)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"duplicates": 1.5}, "duplicates"),
        ({"customers": 0}, "customers"),
        ({"speed": -1}, "speed"),
        ({"late_by": 0}, "late_by"),
    ],
)
def test_a_scenario_that_cannot_be_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Scenario(**wrong)


def test_pain_is_planted_where_customers_decide() -> None:
    with pytest.raises(ValueError, match=r"use one of .*waiting"):
        Pain("paid")
    with pytest.raises(ValueError, match="strength"):
        Pain("waiting", 0)
