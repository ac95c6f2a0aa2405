"""What `desireline definitions check` says of rules and data."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cli.definitions import Live
from cli.matched import compared, heading, summary, table
from cli.matching import Seen, idle, properties, stages, starts, unmatched
from schemas.definition import STAGE, Definition
from sinks.stages import content

DAY = 86_400_000


def definition(**changes: object) -> Definition:
    look = {"name": "look", "patience": "1d", "match": [{"name": ["page_*", "serch"]}]}
    want = {"name": "want", "patience": "2d", "match": [{"channel": "store"}, {"properties": {"loved": "true"}}]}
    start = [{"name": "page_view"}, {"name": "never"}]
    return Definition.model_validate({"name": "p", "goal": "want", "start": start, "stages": [look, want]} | changes)


SEEN = [
    Seen("web", "page_view", {}, 100, 5 * DAY),
    Seen("store", "page_view", {}, 7, 6 * DAY),
    Seen("store", "visit", {}, 20, 7 * DAY),
    Seen("web", "visit", {"loved": "true"}, 3, DAY),
    Seen("web", "visit", {"loved": "false"}, 2, DAY),
    Seen("email", "opened", {}, 50, DAY),
]


def test_a_rule_is_shown_with_what_it_matches_and_whether_an_earlier_stage_has_it() -> None:
    of_stage, of_rule = stages(definition(), SEEN)
    assert [matched.touchpoints for matched in of_stage] == [107, 23]
    (look,), (store, loved) = of_rule
    assert (look.touchpoints, look.elsewhere, look.last_at) == (107, 0, 6 * DAY)
    assert (store.touchpoints, store.elsewhere) == (27, 7)
    assert (loved.touchpoints, loved.places) == (3, {("web", "visit"): 3})
    assert [matched.touchpoints for matched in starts(definition(), SEEN)] == [107, 0]
    assert idle(definition().stages[0].match[0], look) == ["serch"]
    left = unmatched([definition()], SEEN)
    assert (left.touchpoints, left.places.most_common(1)) == (52, [(("email", "opened"), 50)])


def test_properties_are_what_the_rules_of_the_worker_see() -> None:
    raw = ['"text"', "true", "3", "2.5", "null", "", "[1]"]
    assert properties(list("abcdefg"), raw) == {"a": "text", "b": "true", "c": "3", "d": "2.5"}


names = st.sampled_from(["page_view", "visit", "opened"])
channels = st.sampled_from(["web", "store"])


@given(st.lists(st.builds(Seen, channels, names, st.just({}), st.integers(1, 99), st.integers(1, DAY))))
def test_every_touchpoint_is_counted_once_as_the_worker_would(seen: list[Seen]) -> None:
    one = definition()
    of_stage, _ = stages(one, seen)
    without = sum(s.touchpoints for s in seen if not one.number(s.channel, s.name, s.properties) & STAGE)
    assert sum(matched.touchpoints for matched in of_stage) + without == sum(s.touchpoints for s in seen)


def test_it_fits_eighty_columns_and_says_what_nothing_matches() -> None:
    console = Console(width=80, record=True, file=StringIO())
    console.print(table(definition(), SEEN, 8 * DAY))
    shown = console.export_text()
    assert max(map(len, shown.splitlines())) <= 80
    assert "never: matches nothing" in shown
    assert "never: serch" in shown
    assert "7 of them an earlier stage has" in " ".join(shown.split())
    assert "1 d ago" in shown
    assert heading(definition()).startswith("p, version 1: goal want; ends after 180 d")
    said = list(summary([definition()], SEEN, None))
    assert said[0].startswith("1 of 5 rules match nothing")
    assert said[1].startswith("No rule matches 28.6 % of the touchpoints")
    assert said[2].split() == ["50", "email·opened"]
    assert list(summary([definition()], [], "7d")) == ["Nothing is stored within 7d that rules could match."]


def test_a_change_says_that_it_needs_a_new_generation() -> None:
    one, other = definition(), definition(name="q")
    live = [Live(d.name, d.version, content([one, other])[d.name], [], "", 0) for d in (one, other)]
    file = Path("journeys.yaml")
    assert list(compared([one, other], live, file)) == ["These are the journeys that are live."]
    assert "begin with it" in next(compared([one], [], file))
    changed = list(compared([definition(ends_after="9d"), definition(name="r")], live, file))
    assert changed[0] == "Not what is live: p differs, r is new, q is not in the file."
    assert changed[1].startswith("Give p version 2")
    assert "DESIRELINE_DEFINITIONS=journeys.yaml desireline replay start --from clickhouse" in changed[3]
    assert next(compared([other, one], live, file)).startswith("Not what is live"), "the order is part of the state"
    assert not [line for line in compared([definition(version=2), other], live, file) if line.startswith("Give")]
