"""What the ledger says is true: it adds up, it agrees with a plain batch recomputation, and pain is where it was planted."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter, defaultdict
from datetime import datetime
from typing import Any

import pytest

from ingest.simulator.ledger import Ledger
from ingest.simulator.moments import DECISIVE
from ingest.simulator.scenario import DAY, Pain, Scenario
from ingest.simulator.simulation import simulate
from schemas.definition import Rules, load_definitions
from schemas.identity import DEFAULT_KINDS
from schemas.person import FoldRecord
from tests.oracle import Event, journeys, standing

Summary = dict[str, Any]
STRONG = tuple(kind.name for kind in DEFAULT_KINDS.ordered if kind.strong)
WEAK = tuple(kind.name for kind in DEFAULT_KINDS.ordered if not kind.strong)
LOOK_BACK = 30 * DAY


def run(scenario: Scenario) -> tuple[list[tuple[int, dict[str, Any]]], list[dict[str, Any]], Summary]:
    """Events as they are in the end, with the customer they are of; the ledger's journeys; its summary."""
    lines: list[bytes] = []
    company = simulate(scenario, Ledger(lines.append))
    newest: dict[str, tuple[int, dict[str, Any]]] = {}
    for sent in company:
        event = json.loads(sent.touchpoint)
        event["at"] = round(datetime.fromisoformat(event["occurred_at"]).timestamp() * 1000)
        known = newest.get(event["event_id"])
        if known is None or known[1].get("revision", 0) < event.get("revision", 0):
            newest[event["event_id"]] = sent.customer, event
    company.ledger.finish(company.reached)
    *told, summary = (json.loads(line) for line in lines)
    return [known for known in newest.values() if not known[1].get("retracted")], told, summary


def summary_of(scenario: Scenario) -> Summary:
    company = simulate(scenario)
    for _ in company:
        pass
    return company.ledger.finish(company.reached)


def people(events: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """DESIGN §4 said plainly: strong identifiers that occur together are one person; a nameless touchpoint is of who is
    named next on its first device within the look-back, else last, else of the device."""
    parent: dict[str, str] = {}

    def person(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    named: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for event in events:
        shown = event["identifiers"]
        names = [f"{kind}:{shown[kind]}" for kind in STRONG if kind in shown]
        for other in names[1:]:
            parent[person(other)] = person(names[0])
        if names:
            for kind in WEAK:
                if kind in shown:
                    named[f"{kind}:{shown[kind]}"].append((event["at"], names[0]))
    for sightings in named.values():
        sightings.sort()

    def owner(event: dict[str, Any]) -> str:
        shown = event["identifiers"]
        name = next((f"{kind}:{shown[kind]}" for kind in STRONG if kind in shown), None)
        if name is not None:
            return person(name)
        device = next(f"{kind}:{shown[kind]}" for kind in WEAK if kind in shown)
        sightings = named[device]
        place = bisect_right(sightings, event["at"], key=lambda sighting: sighting[0])
        if place < len(sightings) and sightings[place][0] - event["at"] <= LOOK_BACK:
            return person(sightings[place][1])
        if place and event["at"] - sightings[place - 1][0] <= LOOK_BACK:
            return person(sightings[place - 1][1])
        return device

    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        found[owner(event)].append(event)
    return list(found.values())


def recomputed(of_people: list[list[dict[str, Any]]], as_of: int) -> Summary:
    """The funnel from the touchpoints alone, by the default definition's rules."""
    definition = load_definitions()[0]
    rules = Rules([definition])
    status: Counter[str] = Counter()
    counts: dict[str, Counter[int]] = {key: Counter() for key in ("entered", "reached", "dropped_off", "recovered")}
    value = 0
    for events in of_people:
        records: list[Event] = [
            (
                event["event_id"],
                FoldRecord(
                    at=event["at"],
                    channel=event["channel"],
                    name=event["name"],
                    rules=rules.of(event["channel"], event["name"], event.get("properties", {})),
                    amount=event.get("value", {}).get("amount", 0),
                    currency=event.get("value", {}).get("currency", ""),
                ),
            )
            for event in sorted(events, key=lambda event: event["at"])
        ]
        for journey in journeys(records, 0, definition):
            found: Any = standing(journey, 0, definition, as_of)
            status[found["status"]] += 1
            value += sum(found["value"].values())
            for stage in range(1, 9):
                counts["entered"][stage] += found["stages"] >> stage & 1
                counts["reached"][stage] += found["furthest_stage"] >= stage
            for stage, back in zip(found["drop_off_stage"], found["recovered_at"], strict=True):
                counts["recovered" if back else "dropped_off"][stage] += 1
    return {
        "journeys": dict(status),
        "value": value,
        "funnel": [{key: counts[key][stage] for key in counts} for stage in range(1, 9)],
    }


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(seed=1, customers=1_200, duration=60 * DAY),
        Scenario(seed=2, customers=500, duration=250 * DAY, pain=None),
        Scenario(
            seed=3, customers=1_200, duration=60 * DAY,
            duplicates=0.05, late=0.2, late_by=DAY, corrections=0.3, shared_devices=0.5,
        ),
        Scenario(seed=4, customers=1_200, duration=60 * DAY, speed=20_000, shared_devices=0.5),
    ],
    ids=["pain", "long", "untidy", "fast"],
)  # fmt: skip
def test_the_ledger_agrees_with_a_batch_recomputation(scenario: Scenario) -> None:
    events, told, summary = run(scenario)
    found = people([event for _, event in events])
    owner = {event["event_id"]: customer for customer, event in events}
    assert all(len({owner[event["event_id"]] for event in of_one}) == 1 for of_one in found)  # no two customers melted
    assert len(found) == len({customer for customer, _ in events})  # and none split
    truth = recomputed(found, summary["as_of"])
    assert truth["journeys"] == summary["journeys"]
    assert truth["value"] == summary["value"]["MXN"]
    assert truth["funnel"] == [{key: row[key] for key in truth["funnel"][0]} for row in summary["funnel"]]
    assert sum(truth["journeys"].values()) == len(told)


def test_the_ledger_adds_up() -> None:
    events, told, summary = run(Scenario(seed=9, customers=1_500, duration=40 * DAY))
    assert summary["touchpoints"] == len(events) == sum(summary["by_touchpoint"].values())
    assert summary["touchpoints"] == sum(line["touchpoints"] for line in told) + summary["outside"]
    assert summary["by_touchpoint"] == Counter(f"{event['channel']}/{event['name']}" for _, event in events)
    assert summary["customers"] == len({customer for customer, _ in events})
    assert summary["journeys"] == Counter(line["status"] for line in told)
    assert summary["value"]["MXN"] == sum(event.get("value", {}).get("amount", 0) for _, event in events)
    funnel = summary["funnel"]
    reached = [row["reached"] for row in funnel]
    assert reached == sorted(reached, reverse=True)
    assert reached[0] == len(told)
    assert all(row["entered"] <= row["reached"] for row in funnel)
    unfinished = sum(row["dropped_off"] + row["still_open"] for row in funnel)
    assert unfinished + summary["journeys"]["completed"] == len(told)
    answers = [event["feedback"] for _, event in events if "feedback" in event]
    assert sum(row["answers"] for row in summary["feedback"]) == len(answers)
    assert sum(row["sum"] for row in summary["feedback"]) == sum(answer.get("score") or 0 for answer in answers)
    ids = {event["event_id"] for _, event in events}
    assert all(answer["about"] in ids for answer in answers)


def test_a_journeys_deadline_tells_how_it_stands_later() -> None:
    _, told, summary = run(Scenario(customers=600))
    for line in told:
        assert (line["status"] == "completed") == (line["due_at"] == 0)
        assert (line["status"] == "dropped_off") == (0 < line["due_at"] < summary["as_of"])


def satisfaction(summary: Summary, about: str) -> float:
    row = next(row for row in summary["feedback"] if row["kind"] == "csat" and row["about"] == about)
    return float(row["sum"] / row["answers"])


@pytest.mark.parametrize("touchpoint", ["waiting", "service", "search"])
def test_pain_adds_its_strength_to_the_drop_off_where_it_is_planted(touchpoint: str) -> None:
    summary = summary_of(Scenario(seed=7, customers=5_000, duration=14 * DAY, pain=Pain(touchpoint, 0.1)))
    for place, counts in summary["decisions"].items():
        because = counts["left"] - counts["left_anyway"]
        if place.endswith(f"/{touchpoint}"):
            spread = (0.1 * 0.9 / counts["passed"]) ** 0.5
            assert abs(because / counts["passed"] - 0.1) < 4 * spread
        else:
            assert because == 0, place


def test_pain_hurts_and_its_absence_does_not() -> None:
    hurt = summary_of(Scenario(seed=7, customers=4_000, duration=14 * DAY, pain=Pain("waiting", 0.1)))
    well = summary_of(Scenario(seed=7, customers=4_000, duration=14 * DAY, pain=None))
    assert all(counts["left"] == counts["left_anyway"] for counts in well["decisions"].values())
    assert satisfaction(hurt, "store/waiting") < satisfaction(well, "store/waiting") - 1
    # what comes before the pain in a first journey is the same: each customer has a chance of their own
    assert abs(hurt["by_touchpoint"]["ads/ad_clicked"] - well["by_touchpoint"]["ads/ad_clicked"]) < 40
    assert hurt["journeys"]["completed"] < well["journeys"]["completed"]


def test_leaving_depends_on_nothing_but_the_stage_where_nothing_hurts() -> None:
    summary = summary_of(Scenario(seed=3, customers=8_000, duration=7 * DAY, pain=None))
    usual = {"awareness": 0.30, "research": 0.10, "consideration": 0.07, "decision": 0.03}
    stage_of = {"search": "research", "info_call": "research", "review_read": "consideration", "ordered": "decision"}
    for place, counts in summary["decisions"].items():
        stage = stage_of.get(place.partition("/")[2])
        if stage:
            expected = usual[stage]
            spread = (expected * (1 - expected) / counts["passed"]) ** 0.5
            assert abs(counts["left"] / counts["passed"] - expected) < 4 * spread, place


def test_several_decisive_touchpoints_are_passed_by_about_a_fifth() -> None:
    """Where a pain of 10 points can be looked for: passed by enough to be found, by too few to be obvious."""
    summary = summary_of(Scenario(seed=3, customers=3_000, duration=28 * DAY, pain=None))
    journeys_told = sum(summary["journeys"].values())
    shares = dict.fromkeys(DECISIVE, 0.0)
    for place, counts in summary["decisions"].items():
        shares[place.partition("/")[2]] += counts["passed"] / journeys_told
    assert sum(0.14 <= share <= 0.26 for share in shares.values()) >= 4, shares
