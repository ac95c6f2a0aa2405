"""Journey definitions: what a rule matches, what a touchpoint means to a journey, what a file may not say."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from schemas.definition import GOAL, STARTS, Definition, DefinitionsError, Rules, content_hash, load_definitions


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


STAGE_A = "{name: a, patience: 1d, match: [{name: x}]}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("definitions: [", ":1: is not YAML"),
        ("definitions:\n\t- name: p", ":2: is not YAML: .*: indent with spaces, not tabs"),
        ("", ":1: is no file of journeys: it begins with `definitions:`"),
        ("[]", ":1: is no file of journeys"),
        ("journeys: []", ":1: definitions: is missing: the file begins with `definitions:`"),
        ("definitions: []", ":1: definitions: is empty"),
        ("definitions: {name: p}", ":1: definitions: is not a list"),
        (f"definitions: [{{name: P, stages: [{STAGE_A}]}}]", "P.name: 'P' has other than small letters"),
        (f"definitions: [{{name: p, goal: c, stages: [{STAGE_A}]}}]", "p.goal: 'c' is not one of the stages: a"),
        ("definitions: [{name: p, stages: [{name: a, patience: 200d, match: [{name: x}]}]}]", "longer than ends_after"),
        (
            "definitions: [{name: p, stages: [{name: a, patience: soon, match: [{name: x}]}]}]",
            "p.a.patience: 'soon' is not",
        ),
        (
            "definitions: [{name: p, stages: [{name: a, patience: 30, match: [{name: x}]}]}]",
            "30 is not a time with its unit",
        ),
        ("definitions: [{name: p, stages: [{name: a, patience: 0s, match: [{name: x}]}]}]", "must be above 0"),
        ("definitions: [{name: p, stages: [{name: a, patience: 1d, match: [{}]}]}]", r"p.a.match\[1\]: names nothing"),
        ("definitions: [{name: p, stages: [{name: a, patience: 1d, matches: []}]}]", "did you mean 'match'"),
        ("definitions: [{name: p, stages: [{name: a, patience: 1d}]}]", "p.a.match: is missing: add for example"),
        (
            "definitions: [{name: p, stages: [{name: a, patience: 1d, match: {name: on}}]}]",
            "True is not text: put it in",
        ),
        (f"definitions: [{{name: p, stages: [{STAGE_A}, {STAGE_A}]}}]", "p.a.name: 'a' is a stage already"),
        (f"definitions: [{{name: p, name: q, stages: [{STAGE_A}]}}]", "q.name: stands twice, first in line 1"),
    ],
)
def test_a_file_that_cannot_be_used_says_which_where_why_and_what_to_do(
    text: str, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "journeys.yaml"
    file.write_text(text)
    with pytest.raises(DefinitionsError, match=message) as refused:
        load_definitions(file)
    assert all(line.startswith(f"{file}:") for line in str(refused.value).splitlines())


def test_all_mistakes_of_a_file_are_told_at_once_in_its_order(tmp_path: Path) -> None:
    file = tmp_path / "journeys.yaml"
    file.write_text(
        """\
definitions:
  - name: purchase
    goal: buy
    stages:
      - name: look
        patience: soon
        match: [{nam: x}]
      - patience: 1d
        match: []
  - name: support
    ends_after: 1d
    goal: answered
    stages:
      - name: asked
        patience: 2d
        match: {channel: call_center}
  - name: support
    stages: [3]
"""
    )
    with pytest.raises(DefinitionsError) as refused:
        load_definitions(file)
    told = [line.removeprefix(f"{file}:").split(": ")[:2] for line in str(refused.value).splitlines()]
    assert told == [
        ["6", "purchase.look.patience"],
        ["7", "purchase.look.match[1].nam"],
        ["8", "purchase.stages[2].name"],
        ["9", "purchase.stages[2].match"],
        ["12", "support.goal"],
        ["15", "support.asked.patience"],
        ["18", "support.stages[1]"],
    ]


def test_a_single_rule_needs_no_list_and_properties_are_written_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "journeys.yaml"
    rule = "{channel: store, properties: {loved: true, step: [1, 2.5], other: x}}"
    file.write_text(f"definitions: [{{name: p, stages: [{{name: a, patience: 1d, match: {rule}}}]}}]")
    (found,) = load_definitions(file)
    assert found.stages[0].match[0].properties == {"loved": ("true",), "step": ("1", "2.5"), "other": ("x",)}
    assert Rules([found]).of("store", "visit", {"loved": True, "step": 1, "other": "x"}) == [1 | STARTS]


@given(st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.sampled_from(["name", "1d", "p"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["definitions", "name", "stages", "match", "patience", "start", "properties", "goal", "x"]),
            inner, max_size=5,
        ),
    ),
))  # fmt: skip
def test_whatever_stands_in_a_file_is_used_or_refused_line_by_line(content: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "journeys.yaml"
        file.write_text(yaml.safe_dump(content))
        try:
            load_definitions(file)
        except DefinitionsError as refused:
            lines = str(refused).splitlines()
            assert lines
            assert all(re.match(rf"{re.escape(str(file))}:\d+: .+", line) for line in lines)


def test_what_a_file_means_keeps_its_hash() -> None:
    """State made by an earlier release knows it by that hash; another one would refuse its own definitions."""
    assert content_hash(load_definitions()).hex() == "879d2247a15a30d8a4ba3cb5f53dc244e1495e7e6403056201563e5cfa283768"


def test_a_missing_file_is_refused_too(tmp_path: Path) -> None:
    with pytest.raises(DefinitionsError, match=r"none\.yaml: cannot be read"):
        load_definitions(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes("definitions: é".encode("latin-1"))
    with pytest.raises(DefinitionsError, match=r"latin\.yaml: is not UTF-8"):
        load_definitions(tmp_path / "latin.yaml")
