"""The ranking of pain, and what a change did: pure, on counts made up with known truths."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.pain.change import LEAST_DROPS, LEAST_PASSES, Side, effect
from sinks.pain.ranking import LEAST_ANSWERS, Answers, Cell, Counts, PainPoint, ranking

NAMES = tuple(f"t{number}" for number in range(12))
GROUPS = (("web", "a"), ("web", "b"), ("ads", "a"), ("ads", "b"))


def cell(
    name: str, passes: int, dropped: int, *, stage: int = 3, entry: str = "web", before: str = "", **rest: int
) -> Cell:
    followed = passes - dropped
    return Cell(
        "web", name, stage, entry, before, passes, dropped, followed, rest.get("repeated", 0), rest.get("waited", 0),
        rest.get("escalated", 0), rest.get("reached", followed // 2),
    )  # fmt: skip


def counts(cells: Sequence[Cell], answers: Sequence[Answers] = ()) -> Counts:
    journeys: dict[tuple[str, str], tuple[int, int]] = {}
    for one in cells:
        journeys[one.place] = one.stage, journeys.get(one.place, (0, 0))[1] + one.passes
    for said in answers:
        journeys.setdefault((said.channel, said.touchpoint), (6, said.answers))
    return Counts(cells, answers, journeys, completed=100, value={"MXN": 50_000, "EUR": -3})


def company(chance: Random, usual: float, pain: dict[str, float]) -> list[Cell]:
    def one(name: str, entry: str, before: str) -> Cell:
        passes = chance.randint(50, 200)
        share = usual + pain.get(name, 0)
        return cell(name, passes, sum(chance.random() < share for _ in range(passes)), entry=entry, before=before)

    return [one(name, *group) for name in NAMES for group in GROUPS]


def called(points: Sequence[PainPoint]) -> list[str]:
    return [one.touchpoint for one in points if one.hurts]


def test_where_nothing_hurts_hardly_anything_is_called() -> None:
    chance = Random(1)
    loud = sum(bool(called(ranking(counts(company(chance, 0.08, {}))))) for _ in range(400))
    assert loud <= 20  # 2.5 % are allowed


def test_what_hurts_is_first_and_its_interval_holds_the_truth() -> None:
    chance = Random(2)
    held = 0
    for _ in range(50):
        first, *others = ranking(counts(company(chance, 0.08, {"t5": 0.1})))
        assert (first.touchpoint, first.hurts) == ("t5", True)
        assert first.drop_off
        held += first.drop_off.low <= 0.1 <= first.drop_off.high
        assert len(called(others)) <= 1
    assert held >= 48


def test_customers_who_leave_more_anyway_do_not_make_it_hurt() -> None:
    """Those from ads leave three times as often wherever they are, and it is they who pass t0."""
    crowds = {"ads": 0.3, "web": 0.1}
    cells = [
        cell(name, n, round(n * crowds[entry]), entry=entry)
        for name in NAMES
        for entry, n in (("ads", 900 if name == "t0" else 100), ("web", 100 if name == "t0" else 900))
    ]
    points = ranking(counts(cells))
    assert called(points) == []
    (t0,) = (one for one in points if one.touchpoint == "t0")
    assert t0.drop_off
    assert t0.drop_off.estimate == pytest.approx(0, abs=1e-9)


def test_without_enough_of_their_kind_they_are_compared_with_all_at_that_stage() -> None:
    cells = [cell("t0", 200, 60, entry="ads"), cell("t1", 800, 80), cell("t2", 800, 80), cell("t3", 900, 0, stage=4)]
    first = ranking(counts(cells))[0]
    assert first.touchpoint == "t0"
    assert first.drop_off
    assert (first.drop_off.n, first.drop_off.other_n) == (200, 1600)
    assert first.drop_off.other_share == pytest.approx(0.1)


def test_of_few_nothing_is_said() -> None:
    points = ranking(counts([cell("t0", 40, 40), cell("t1", 800, 80)]))
    assert [one.drop_off for one in points] == [None, None]
    alone = ranking(counts([cell("t0", 800, 800)]))
    assert (alone[0].drop_off, alone[0].hurts) == (None, False)


def test_it_costs_the_journeys_that_would_have_reached_their_goal() -> None:
    first = ranking(counts([cell("t0", 1000, 200), cell("t1", 1000, 100)]))[0]
    assert first.severity == pytest.approx(0.1)
    assert first.lost == pytest.approx(0.1 * 1000 * 0.5)
    assert first.cost == {"MXN": 25_000}


def test_who_only_rates_it_low_may_mean_what_was_before() -> None:
    answers = [
        Answers("web", "paid", "nps", 400, 300),
        Answers("web", "t1", "nps", 400, 20),
        Answers("web", "t1", "csat", 9, 9),
    ]
    points = ranking(counts([cell("t0", 1000, 200), cell("t1", 1000, 100)], answers))
    assert [(one.touchpoint, one.leaves, one.hurts) for one in points[:2]] == [
        ("t0", True, True),
        ("paid", False, True),
    ]
    paid = points[1]
    assert paid.low_feedback
    assert paid.low_feedback.estimate == pytest.approx(0.7)
    assert paid.severity == pytest.approx(0.5 * paid.low_feedback.low)


def test_answers_are_compared_by_their_kind() -> None:
    """Complaints are all low, wherever they are; of nobody's surveys more are low than of others'."""
    answers = [
        Answers("web", "t0", "text", 90, 90), Answers("web", "t0", "csat", 30, 3),
        Answers("web", "t1", "text", LEAST_ANSWERS, LEAST_ANSWERS), Answers("web", "t1", "csat", 900, 90),
    ]  # fmt: skip
    assert called(ranking(counts([cell("t0", 1000, 100), cell("t1", 1000, 100)], answers))) == []


def test_other_signs_count_as_far_as_they_are_beyond_chance_and_call_nothing() -> None:
    strained = cell("t0", 1000, 100, repeated=400, waited=300, escalated=200)
    points = ranking(counts([strained, cell("t1", 1000, 100)]))
    assert called(points) == []
    assert points[0].touchpoint == "t0"
    assert points[0].repeats
    assert points[0].waits
    assert points[0].escalations
    assert points[0].severity == pytest.approx(
        0.1 * points[0].repeats.low + 0.1 * points[0].waits.low + 0.2 * points[0].escalations.low
    )


cells_ = st.builds(
    lambda name, stage, group, passes, share: cell(
        name, passes, int(passes * share), stage=stage, entry=group[0], before=group[1], repeated=int(passes * (1 - share)) // 3
    ),
    st.sampled_from(NAMES[:4]), st.integers(1, 2), st.sampled_from(GROUPS), st.integers(1, 300), st.floats(0, 1),
)  # fmt: skip


@settings(max_examples=200)
@given(st.lists(cells_, min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_how_the_counts_come_does_not_matter(cells: list[Cell], chance: Random) -> None:
    parts: list[Cell] = []
    for one in cells:
        first = Cell(*one[:5], *(value // 2 for value in one[5:]))  # two halves are the whole
        second = Cell(*one[:5], *(value - half for value, half in zip(one[5:], first[5:], strict=True)))
        parts += [first, second]
    whole = counts(cells)
    chance.shuffle(parts)
    assert ranking(whole) == ranking(whole._replace(cells=parts))


# --- a change ---------------------------------------------------------------------------------------------------------


def week(later: bool, n: int, had: int, hours: Sequence[int] = range(168)) -> list[Side]:
    return [Side(later, hour, n, had) for hour in hours]


def test_a_change_that_helped() -> None:
    found = effect(week(False, 20, 6) + week(True, 10, 1), LEAST_PASSES, LEAST_DROPS)
    assert found.verdict == "better"
    assert found.compared
    assert found.compared.estimate == pytest.approx(-0.2)
    assert (found.after, found.before) == (1680, 3360)


def test_a_change_that_hurt_and_one_that_did_nothing() -> None:
    assert effect(week(False, 20, 2) + week(True, 20, 6), LEAST_PASSES, LEAST_DROPS).verdict == "worse"
    assert (
        effect(week(False, 20, 2) + week(True, 20, 2), LEAST_PASSES, LEAST_DROPS).verdict
        == "no difference beyond chance"
    )


def test_only_hours_that_both_sides_have_are_compared() -> None:
    """Nights are bad. The change was on a Monday morning, and no night has come yet: that is no improvement."""
    nights, days = range(84), range(84, 168)
    before = week(False, 20, 10, nights) + week(False, 20, 2, days)
    found = effect(before + week(True, 20, 2, days), LEAST_PASSES, LEAST_DROPS)
    assert found.verdict == "no difference beyond chance"
    assert found.before == 84 * 20
    crowd_before, crowd_after = (84 * 12 * 20) / (168 * 20 * 20), 0.1
    assert crowd_before > 2 * crowd_after


def test_of_too_little_nothing_is_said() -> None:
    assert effect([], LEAST_PASSES, LEAST_DROPS).verdict == "not enough data"
    assert effect(week(False, 20, 2), LEAST_PASSES, LEAST_DROPS).verdict == "not enough data"
    few = effect(week(False, 20, 2) + week(True, 20, 9, [3, 4]), LEAST_PASSES, LEAST_DROPS)
    assert (few.verdict, few.after, few.before, few.compared) == ("not enough data", 40, 40, None)
    assert effect(week(False, 20, 0) + week(True, 20, 0), LEAST_PASSES, LEAST_DROPS).verdict == "not enough data"
