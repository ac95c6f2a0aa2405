"""The fold by example: skipping, going back, repeating, several goals, silences; and what no history may break."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.fold import NO_HEAD, due_at, spans, step, story
from schemas.definition import GOAL, STAGE, STARTS
from tests.unit.test_stitching import DEFINITIONS, HOUR, NUMBERS, T0

PURCHASE = DEFINITIONS[0]  # look 2 h, want 5 h, buy 9 h (goal), use 20 h; ends after 30 h
Steps = list[tuple[int, str]]  # hours since T0, name

HISTORIES: dict[str, tuple[Steps, list[int]]] = {  # → touchpoints of each journey
    "what comes before the start belongs to none": ([(0, "other"), (1, "peek"), (2, "look")], [1]),
    "a touchpoint without a stage joins": ([(0, "look"), (1, "other"), (2, "want")], [3]),
    "silence beyond the patience does not end it": ([(0, "look"), (20, "want")], [2]),
    "silence beyond ends_after does": ([(0, "look"), (31, "want")], [1, 1]),
    "and what does not start anything then belongs to none": ([(0, "look"), (31, "other"), (32, "look")], [1, 1]),
    "after the goal a later stage stays": ([(0, "look"), (1, "buy"), (2, "use"), (3, "use")], [4]),
    "an earlier stage starts the next": ([(0, "look"), (1, "buy"), (2, "want"), (3, "use")], [2, 2]),
    "one that may not start stays": ([(0, "look"), (1, "buy"), (2, "peek"), (3, "look")], [3, 1]),
    "the goal again starts the next": ([(0, "buy"), (1, "buy"), (2, "use"), (3, "buy")], [1, 2, 1]),
    "a start without a stage does not": ([(0, "look"), (1, "buy"), (2, "start"), (3, "other")], [4]),
    "before the goal nothing starts a second one": ([(0, "want"), (1, "look"), (2, "start"), (3, "look")], [4]),
}


def columns(steps: Steps) -> tuple[list[int], list[int]]:
    return [T0 + hours * HOUR for hours, _ in steps], [NUMBERS[name][0] for _, name in steps]


@pytest.mark.parametrize(("steps", "lengths"), HISTORIES.values(), ids=HISTORIES.keys())
def test_where_journeys_begin_and_end(steps: Steps, lengths: list[int]) -> None:
    at, numbers = columns(steps)
    assert [end - first for first, end in spans(at, numbers, 0, PURCHASE)[0]] == lengths


def test_stages_are_skipped_gone_back_to_and_repeated() -> None:
    told = story(*columns([(0, "look"), (1, "buy"), (2, "use"), (3, "use"), (4, "use")]), PURCHASE)
    assert (told.path_stage, told.completed, told.stage, told.due) == ([1, 3, 4, 4, 4], 1, 4, 0)
    assert told.entered == 0b11010, "the second was skipped"
    back = story(*columns([(0, "look"), (1, "want"), (2, "look"), (3, "other"), (4, "want")]), PURCHASE)
    assert (back.path_stage, back.completed, back.stage) == ([1, 2, 1, 0, 2], -1, 2)
    assert (back.entered, back.silences) == (0b110, [])
    assert back.due == T0 + 9 * HOUR, "of the last touchpoint, by the patience of its stage"


def test_silences_are_of_the_stage_entered_last_until_the_goal() -> None:
    told = story(*columns([(0, "look"), (3, "other"), (6, "want"), (12, "buy"), (29, "use")]), PURCHASE)
    hour = [
        (round((due - T0) / HOUR), stage, step, round((back - T0) / HOUR)) for due, stage, step, back in told.silences
    ]
    assert hour == [(2, 1, 0, 3), (5, 1, 1, 6), (11, 2, 2, 12)], "after the goal there are none"


numbers_st = st.lists(st.sampled_from([one[0] for one in NUMBERS.values()]), max_size=20)
gaps = st.lists(st.integers(0, 40), min_size=20, max_size=20)


@given(numbers_st, gaps)
def test_journeys_do_not_overlap_and_one_touchpoint_at_a_time_says_the_same(
    numbers: list[int], hours: list[int]
) -> None:
    at = [T0 + sum(hours[: place + 1]) * HOUR for place in range(len(numbers))]
    found, head = spans(at, numbers, 0, PURCHASE)
    places = [place for first, end in found for place in range(first, end)]
    assert places == sorted(set(places)), "in order, and nobody's touchpoint twice"
    outside = set(range(len(numbers))) - set(places)
    assert not [place for place in outside if numbers[place] & STARTS], "whatever may start a journey is in one"
    for first, end in found:
        assert numbers[first] & STARTS
        told = story(at[first:end], numbers[first:end], PURCHASE)
        assert told.entered == sum(1 << rank for rank in {number & STAGE for number in numbers[first:end]} - {0})
        goals = [place for place in range(first, end) if numbers[place] & GOAL]
        assert goals == ([] if told.completed < 0 else [first + told.completed]), "one goal is one journey"
        assert len({at[first + before] for _, _, before, _ in told.silences}) <= end - first
    one = NO_HEAD
    for place, number in enumerate(numbers):
        one = step(one, number, place, at[place] - at[place - 1] if place else 0, PURCHASE)
    assert one == head
    if head[0] >= 0 and found and found[-1][1] == len(numbers):
        told = story(at[found[-1][0] :], numbers[found[-1][0] :], PURCHASE)
        assert due_at(head, at[-1], PURCHASE) == told.due
