"""Differences as values: what is found, how it is named, what explains it, and what is looked at again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from schemas.definition import Rules, load_definitions
from schemas.person import FoldRecord
from sinks.verify import causes, compare, plain
from sinks.verify.causes import Evidence
from sinks.verify.compare import TWO_HOMES, UNEXPLAINED, Difference, LiveOwned
from sinks.verify.figures import ROLLUPS, Figures
from sinks.verify.late import Lateness
from sinks.verify.store import Owned, carry, store

T0, HOUR, DAY = 1_772_323_200_000, 3_600_000, 86_400_000
ADA, BOB, CLEO = (digit * 32 for digit in "abc")
DEFINITIONS = load_definitions()
RECORD = FoldRecord(T0, "web", "menu_viewed", [65])


def everybody(person: str) -> bool:
    return True


def owned(event: str, person: str, record: FoldRecord = RECORD) -> Owned:
    return Owned(event, person, T0, record)


def live(event: str, person: str, version: int = 1, record: FoldRecord = RECORD) -> LiveOwned:
    return LiveOwned(event, person, version, record)


def said(differences: Iterator[Difference]) -> list[tuple[str, str, str, Any, Any]]:
    return [(one.key, one.what, one.column, one.live, one.expected) for one in differences]


def test_both_sides_meet_at_their_keys() -> None:
    met = compare.side_by_side(["a1", "c1", "c2"], ["b1", "c3", "d1", "d2"], lambda one: one[0], lambda one: one[0])
    assert list(met) == [("a", ["a1"], []), ("b", [], ["b1"]), ("c", ["c1", "c2"], ["c3"]), ("d", [], ["d1", "d2"])]


def test_owners_that_differ_are_named() -> None:
    other = FoldRecord(T0, "web", "paid", [65], amount=5)
    expected = [owned("1", ADA), owned("2", ADA), owned("3", ADA), owned("4", ADA), owned("6", ADA)]
    found = [
        live("1", ADA),
        live("2", BOB),
        live("4", ADA, record=other),
        live("5", BOB),
        live("6", ADA, 3),
        live("6", BOB),
    ]
    counts: Counter[str] = Counter()
    assert said(compare.owners(expected, found, everybody, counts)) == [
        ("2", "differs", "person_id", BOB, ADA),
        ("3", "missing", "person_id", None, ADA),
        ("4", "differs", "name", "paid", "menu_viewed"),
        ("4", "differs", "amount", 5, 0),
        ("5", "extra", "person_id", BOB, None),
        ("6", "extra", "person_id", BOB, None),
    ]
    assert counts == {
        "owners expected": 5,
        "owners found": 5,
        "owners right": 3,
        "rules differ": 0,
        "person_touchpoints": 6,
    }


def test_two_owners_by_the_same_move_come_of_two_homes() -> None:
    (same,) = compare.owners([owned("1", ADA)], [live("1", ADA, 1), live("1", BOB, 1)], everybody, Counter())
    (moved,) = compare.owners([owned("1", ADA)], [live("1", ADA, 1), live("1", BOB, 2)], everybody, Counter())
    corrected = compare.owners(
        [owned("1", ADA)], [live("1", ADA, 1 << 32), live("1", BOB, 1 << 32)], everybody, Counter()
    )
    assert (same.cause, moved.cause, next(corrected).cause) == (TWO_HOMES, UNEXPLAINED, UNEXPLAINED)


def test_only_people_in_scope_are_compared() -> None:
    expected, found = [owned("1", ADA), owned("2", BOB)], [live("1", BOB), live("2", CLEO)]
    assert [one.key for one in compare.owners(expected, found, ADA.__eq__, Counter())] == ["1"]
    assert [one.key for one in compare.owners(expected, found, BOB.__eq__, Counter())] == ["1", "2"]


def test_identities_that_the_definition_does_not_yield_are_left_alone() -> None:
    expected = [("email:a", ADA, False), ("email:b", BOB, True), ("email:d", ADA, False)]
    found = [("email:a", BOB, False), ("email:b", BOB, False), ("email:c", CLEO, False)]
    assert said(compare.identities(expected, found, everybody, Counter())) == [
        ("email:a", "differs", "person_id", BOB, ADA),
        ("email:b", "differs", "shared", False, True),
        ("email:d", "missing", "person_id", None, ADA),
    ]


def journey(as_of: int, *steps: tuple[int, str, str]) -> dict[str, Any]:
    rules = Rules(DEFINITIONS)
    events = [
        (f"{number:032x}", FoldRecord(T0 + at, channel, name, rules.of(channel, name, {})))
        for number, (at, channel, name) in enumerate(steps)
    ]
    (row,) = plain.rows(ADA, events, DEFINITIONS, as_of)
    return row


STEPS = ((0, "web", "menu_viewed"), (HOUR, "web", "reservation_started"))


def test_a_row_from_before_its_deadline_is_equal_to_one_from_after() -> None:
    before, after = journey(T0 + HOUR, *STEPS), journey(T0 + 90 * DAY, *STEPS)
    assert before["status"] == "open"
    assert after["status"] == "dropped_off"
    assert not list(compare.journeys([after], [before], T0 + 90 * DAY, everybody, Counter()))
    assert not list(compare.journeys([before], [after], T0 + HOUR, everybody, Counter()))


def test_journeys_that_differ_are_named_column_by_column() -> None:
    row = journey(T0, *STEPS)
    changed = row | {"touchpoints": 3, "peak_end": 0.5}
    assert said(compare.journeys([row], [changed], T0, everybody, Counter())) == [
        (row["journey_id"], "differs", "touchpoints", 3, 2),
        (row["journey_id"], "differs", "peak_end", 0.5, None),
    ]
    half = row | {"peak_end": 1 / 3}
    assert not list(compare.journeys([half], [row | {"peak_end": 1 / 3 + 1e-15}], T0, everybody, Counter()))
    assert [one[1] for one in said(compare.journeys([row], [], T0, everybody, Counter()))] == ["missing"]
    assert [one[1] for one in said(compare.journeys([], [row], T0, everybody, Counter()))] == ["extra"]
    assert [one[1] for one in said(compare.journeys([row], [row, row], T0, everybody, Counter()))] == ["extra"]


def test_figures_are_compared_but_for_hours_that_move() -> None:
    figures = Figures()
    figures.add(journey(T0 + 90 * DAY, *STEPS))
    hour, day = T0 // 1000, T0 // DAY
    funnel = figures.of("rollup_funnel")
    names = ROLLUPS["rollup_funnel"].counts
    last = dict(zip(names, list(funnel.values())[-1], strict=True))
    assert last == {
        "entered": 1,
        "moved_on": 0,
        "dropped_off": 1,
        "still_open": 0,
        "recovered": 0,
        "decided": 1,
        "completed": 0,
    }
    assert figures.of("rollup_transitions") == {("purchase", day, "web", "menu_viewed", "reservation_started"): (1,)}
    assert not list(compare.figures("rollup_funnel", funnel, funnel, (), Counter()))
    assert {one.what for one in compare.figures("rollup_funnel", funnel, {}, (), Counter())} == {"missing"}
    assert {one.what for one in compare.figures("rollup_funnel", {}, funnel, (), Counter())} == {"extra"}
    counts: Counter[str] = Counter()
    for table in ("rollup_funnel", "rollup_touchpoints"):
        assert not list(compare.figures(table, figures.of(table), {}, {("purchase", hour)}, counts))
    assert counts["figures not compared"] == len(funnel) + 2


@pytest.mark.parametrize(
    ("one", "evidence", "cause"),
    [
        (Difference("journeys", "j", "missing", people=(ADA,)), Evidence(), UNEXPLAINED),
        (Difference("journeys", "j", "missing", people=(ADA,)), Evidence(changed={ADA}), causes.CHANGED),
        (Difference("journeys", "j", "missing", people=(ADA,)), Evidence(changed={BOB}), UNEXPLAINED),
        (Difference("person_touchpoints", "e", "extra", people=(ADA, BOB)), Evidence(two_homes={"e"}), TWO_HOMES),
        (Difference("identities", "i", "differs", "person_id", ADA, BOB, (ADA, BOB)), Evidence(), UNEXPLAINED),
        (Difference("journeys", "j", "differs", "path_touchpoint", ["a", "other"], ["a", "b"]), Evidence(), causes.OTHER_WORD),
        (Difference("journeys", "j", "differs", "path_touchpoint", ["x", "other"], ["a", "b"]), Evidence(), UNEXPLAINED),
        (
            Difference("journeys", "j", "extra", live={"definition": "purchase"}, people=(ADA,)),
            Evidence(above={ADA}, definitions=["purchase"]),
            causes.TOO_MANY,
        ),
        (Difference("journeys", "j", "extra", live={"definition": "old"}), Evidence(), causes.NOT_CONFIGURED),
        (Difference("rollup_steps", "k", "differs", "journeys"), Evidence(), UNEXPLAINED),
        (Difference("rollup_steps", "k", "differs", "journeys"), Evidence(miscounted=set()), causes.FOLLOWS),
        (
            Difference("rollup_steps", "k", "differs", "journeys"),
            Evidence(miscounted={("rollup_steps", "k", "journeys")}),
            UNEXPLAINED,
        ),
    ],
)  # fmt: skip
def test_causes(one: Difference, evidence: Evidence, cause: str) -> None:
    (found,) = causes.explain([one], evidence)
    assert found.cause == cause
    assert causes.explained(found) == (not cause.startswith("unexplained"))


def test_journeys_of_a_touchpoint_with_two_homes_are_explained_by_it() -> None:
    torn = Difference("person_touchpoints", "e", "extra", people=(ADA, BOB), cause=TWO_HOMES)
    journeys = [
        Difference("journeys", "j", "extra", live={"definition": "purchase"}, people=(who,)) for who in (BOB, CLEO)
    ]
    found = causes.explain([torn, *journeys], Evidence(definitions=["purchase"]))
    assert [one.cause for one in found] == [TWO_HOMES, TWO_HOMES, UNEXPLAINED]


def test_the_store_gives_back_what_it_was_given_sorted_and_nothing_of_it_stays() -> None:
    with store() as kept:
        rows = [(event, person, T0 + at) for event, person, at in (("3", BOB, 5), ("1", ADA, 7), ("2", BOB, 6))]
        kept.put_touchpoints(
            (bytes.fromhex(event * 32), bytes.fromhex(person), at, at, carry(RECORD)) for event, person, at in rows
        )
        assert [one.event[0] for one in kept.touchpoints()] == ["1", "2", "3"]
        assert next(kept.touchpoints()) == Owned("1" * 32, ADA, T0 + 7, RECORD)
        (of_ada, of_bob) = kept.people(2, Lateness())
        assert of_ada == (ADA, [("1" * 32, RECORD)], T0 + 7, {})
        assert (of_bob[0], sorted(of_bob[1] or ()), of_bob[2]) == (
            BOB,
            [("2" * 32, RECORD), ("3" * 32, RECORD)],
            T0 + 6,
        )
        assert [one.events is None for one in kept.people(1, Lateness())] == [False, True]
        assert kept.summary({BOB, CLEO}) == {BOB: (2, T0 + 6)}
        assert set(kept.persons(T0 + 7)) == {ADA}
        kept.put_identities([("phone:2", bytes.fromhex(ADA), True), ("email:ä", bytes.fromhex(BOB), False)])
        assert list(kept.identities()) == [("email:ä", BOB, False), ("phone:2", ADA, True)]
        row = journey(T0, *STEPS)
        kept.put_journeys([row])
        assert list(kept.journeys()) == [row]
        happened = {"outcome_id": "7" * 32, "at": T0, "may_wait": False}
        kept.put_outcomes([happened, {**happened, "outcome_id": "5" * 32}])
        assert [row["outcome_id"][0] for row in kept.outcomes()] == ["5", "7"]


def outcome(ident: str, **changes: Any) -> dict[str, Any]:
    said = {
        "definition": "purchase",
        "kind": "dropped_off",
        "at": T0,
        "stage": 2,
        "channel": "web",
        "touchpoint": "cart",
    }
    return {"outcome_id": ident * 32, "journey_id": "9" * 32, "person_id": ADA, **said, **changes}


def test_outcomes_are_compared_and_only_a_silence_that_lasts_may_wait() -> None:
    counts = Counter[str]()
    must = [
        outcome("1", may_wait=False),
        outcome("2", may_wait=False, person_id=BOB),
        outcome("3", may_wait=True),
        outcome("4", may_wait=True),
    ]
    live = [outcome("1", channel="store"), outcome("4"), outcome("5", person_id=CLEO, kind="completed")]
    found = list(compare.outcomes(must, live, everybody, counts))
    assert [(one.key[0], one.what, one.column, one.people) for one in found] == [
        ("1", "differs", "channel", (ADA,)),
        ("2", "missing", "", (BOB,)),
        ("5", "extra", "", (CLEO,)),
    ]
    assert counts == {"outcomes": 4, "drop-offs not told yet": 1}
    assert not list(compare.outcomes(must, live, lambda _: False, Counter()))
