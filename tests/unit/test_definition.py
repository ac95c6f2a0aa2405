"""Journey definitions: what a rule matches, what a touchpoint means to a journey, what a file may not say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from schemas.definition import GOAL, STARTS, Definition, DefinitionsError, Rules, load_definitions


def definition(**changes: Any) -> Definition:
    stages = [
        {"name": "look", "patience": "1.5h", "match": [{"name": ["page_*", "search"]}]},
        {"name": "want", "patience": "2d", "match": [{"channel": "store", "properties": {"loved": "true"}}]},
        {"name": "buy", "patience": "1w", "match": [{"properties": {"step": "3"}}]},
    ]
    return Definition.model_validate({"name": "purchase", "goal": "buy", "stages": stages} | changes)


@pytest.mark.parametrize(
    ("channel", "name", "properties", "rank"),
    [
        ("web", "page_view", {}, 1),
        ("web", "a_page_view", {}, 0),
        ("web", "search\nagain", {}, 0),
        ("store", "visit", {"loved": True}, 2),
        ("store", "visit", {"loved": "true"}, 2),
        ("web", "visit", {"loved": True}, 0),
        ("store", "visit", {"loved": False}, 0),
        ("store", "visit", {"loved": None}, 0),
        ("store", "page_view", {"loved": True}, 1),
        ("web", "visit", {"step": 3}, 3 | GOAL),
        ("web", "visit", {"step": "3"}, 3 | GOAL),
        ("web", "visit", {"step": [3]}, 0),
        ("web", "visit", {"step": {"3": 3}}, 0),
    ],
)
def test_a_touchpoint_means_the_first_stage_that_a_rule_matches(
    channel: str, name: str, properties: dict[str, Any], rank: int
) -> None:
    expected = rank | STARTS if rank else 0
    assert Rules([definition()]).of(channel, name, properties) == [expected]
    only_searches_start = definition(start=[{"name": "search"}])
    assert Rules([only_searches_start]).of(channel, name, properties) == [rank]


def test_patience_is_in_milliseconds_by_rank() -> None:
    assert definition().patience == (0, 5_400_000, 2 * 86_400_000, 7 * 86_400_000)
    assert definition().goal_rank == 3
    assert definition(goal=None).goal_rank == 0


def test_rules_do_not_remember_what_would_fill_the_memory() -> None:
    rules = Rules([definition()])
    for number in range(50):
        assert rules.of("web", "visit", {"step": f"{number}" * 1000}) == [0]
    assert rules.of("web", "visit", {"step": 3, "other": "x" * 10_000}) == [3 | GOAL | STARTS]
    assert sum(len(str(key)) for key in rules._known) < 200


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("definitions: [", "not YAML"),
        ("definitions: []", "at least 1 item"),
        ("definitions: [{name: p, goal: c, stages: [{name: a, patience: 1d, match: [{name: x}]}]}]", "goal 'c'"),
        ("definitions: [{name: p, stages: [{name: a, patience: 200d, match: [{name: x}]}]}]", "longer than ends_after"),
        ("definitions: [{name: p, stages: [{name: a, patience: soon, match: [{name: x}]}]}]", "valid integer"),
        ("definitions: [{name: p, stages: [{name: a, patience: 1d, match: [{}]}]}]", "at least one of channel"),
        ("definitions: [{name: p, stages: [{name: a, patience: 1d, matches: []}]}]", "Extra inputs"),
    ],
)
def test_a_file_that_cannot_be_used_says_which_and_why(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "journeys.yaml"
    file.write_text(text)
    with pytest.raises(DefinitionsError, match=message) as refused:
        load_definitions(file)
    assert str(file) in str(refused.value)


def test_a_missing_file_is_refused_too(tmp_path: Path) -> None:
    with pytest.raises(DefinitionsError, match=r"none\.yaml: cannot be read"):
        load_definitions(tmp_path / "none.yaml")
