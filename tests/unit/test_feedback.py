"""What feedback is about, whom it asks us to call, and how a webhook tells it."""

from __future__ import annotations

import json
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.answers import asked_for, message
from schemas.codec import encode
from schemas.feedback import about, wanted
from schemas.person import Assigned, FoldRecord
from sinks.follow_ups import Step, Story

PURCHASE, USE, SUPPORT, LOYALTY = 5, 6, 7, 8
DAY = 86_400_000


def test_a_survey_is_about_the_visit_not_about_the_points_earned_for_it() -> None:
    # paid, meal finished, points earned, survey, second question of the survey
    assert about(3, [PURCHASE, USE, LOYALTY, LOYALTY, LOYALTY], [3, 4]) == 1
    assert about(4, [PURCHASE, USE, LOYALTY, LOYALTY, LOYALTY], [3, 4]) == 1


def test_a_complaint_is_not_about_the_call_in_which_it_is_made() -> None:
    assert about(3, [PURCHASE, USE, SUPPORT, SUPPORT], [3]) == 1


def test_a_terminal_without_a_stage_is_about_what_was_just_before() -> None:
    assert about(2, [4, PURCHASE, 0], [2]) == 1


def test_what_nothing_came_before_is_about_itself() -> None:
    assert about(0, [PURCHASE], [0]) is None
    assert about(1, [0, PURCHASE], [1]) is None


@given(st.data())
def test_it_is_the_last_that_can_be_meant(data: st.DataObject) -> None:
    stages = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=12))
    step = data.draw(st.integers(0, len(stages) - 1))
    given_at = data.draw(st.sets(st.integers(0, len(stages) - 1))) | {step}
    can_be = [one for one in range(step) if stages[one] not in (0, stages[step]) and one not in given_at]
    assert about(step, stages, given_at) == (can_be[-1] if can_be else None)


@pytest.mark.parametrize(
    ("score", "does"), [(0, "call_back"), (6, "call_back"), (7, None), (8, None), (9, "thank"), (10, "thank")]
)
def test_detractors_are_called_and_promoters_thanked(score: int, does: str | None) -> None:
    assert wanted("nps", score) == does
    assert wanted("csat", min(score, 5)) is None


def said(**changes: object) -> Assigned:
    record = FoldRecord(5 * DAY, "email", "survey_answered", [8], feedback="nps", score=3)
    return msgspec.structs.replace(Assigned("a" * 32, "b" * 32, 0, 1, 5 * DAY + 1000, record), **changes)


def test_an_answer_is_told_once_and_when_it_is_given() -> None:
    assert asked_for(encode(said())) == said()
    assert asked_for(encode(said(cause="merge"))) is None
    assert asked_for(encode(said(arrived=7 * DAY))) is None
    assert asked_for(encode(said(record=None, cause="erasure"))) is None
    passive = msgspec.structs.replace(said().record, score=8)  # type: ignore[type-var]
    assert asked_for(encode(said(record=passive))) is None


def test_a_message_tells_who_about_what_and_the_story() -> None:
    story = Story(
        "email:ada@example.org", (Step(1, "store", "waiting"), Step(2, "store", "paid")), "store", "waiting", "<!here>"
    )
    posted = message(said(), story)
    assert posted.ident == str(UUID("b" * 32))
    content = json.loads(posted.content)
    assert content["text"].splitlines() == [
        "*Call back* email:ada@example.org: NPS 3 about store waiting; 1970-01-06 00:00 UTC",
        "store waiting → store paid",
        "“&lt;!here&gt;”",
    ]
    assert content["follow_up"]["about"] == {"channel": "store", "touchpoint": "waiting"}
    assert [step["touchpoint"] for step in content["follow_up"]["did"]] == ["waiting", "paid"]


def test_without_a_story_it_is_told_all_the_same() -> None:
    assert json.loads(message(said(), Story()).content)["text"].startswith(f"*Call back* {UUID('a' * 32)}: NPS 3;")
