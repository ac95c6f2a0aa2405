"""What somebody is in the middle of: which journeys are open, what is due next, what was done and said last."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from people import objects
from people.life import Touchpoint, lived
from people.now import MOST_FEEDBACK, Now
from schemas.definition import Rules, load_definitions

DEFINITIONS = load_definitions()
RULES = Rules(DEFINITIONS)
PERSON = UUID("9a115435-6293-8a56-fe98-a3175b7be519")
MARCH = 1_772_323_200_000  # Sunday 2026-03-01T00:00:00Z
MINUTE, DAY = 60_000, 86_400_000
NAMES = ("menu_viewed", "reservation_started", "seated", "paid", "complaint", "recommended", "email_link_opened")


def touchpoint(number: int, at: int, channel: str, name: str, **more: object) -> Touchpoint:
    event = number.to_bytes(16, "big")
    return Touchpoint(event, MARCH + at, -1, channel, name, tuple(RULES.of(channel, name, {})), **more)  # type: ignore[arg-type]


BUYING = (
    touchpoint(1, 0, "web", "menu_viewed"),
    touchpoint(2, 5 * MINUTE, "web", "reservation_started", feedback="ces", score=2, text="slow"),
)
BOUGHT = (*BUYING, touchpoint(3, DAY, "store", "paid", amount=48_400, currency="MXN"))


def now(touchpoints: tuple[Touchpoint, ...], as_of: int, most: int = 10) -> Now:
    return Now(lived(PERSON, (), touchpoints, DEFINITIONS, MARCH + as_of), DEFINITIONS, MARCH + as_of, most)


def test_an_open_journey_has_a_stage_and_a_deadline() -> None:
    said = objects.now(now(BUYING, 10 * MINUTE))
    (journey,) = said["open_journeys"]
    assert (journey["status"], journey["stage"]) == ("open", "consideration")
    assert said["next_deadline"] == {
        "at": "2026-03-03T00:05:00.000Z",
        "journey_id": journey["journey_id"],
        "definition": "purchase",
        "stage": "consideration",
    }
    assert [one["name"] for one in said["last_touchpoints"]] == ["reservation_started", "menu_viewed"]
    assert said["last_touchpoints"][0]["stages"] == {"purchase": "consideration"}
    assert [one["feedback"]["text"] for one in said["feedback"]] == ["slow"]


def test_what_dropped_off_may_be_come_back_to_but_is_waited_for_no_more() -> None:
    said = objects.now(now(BUYING, 4 * DAY))
    assert [journey["status"] for journey in said["open_journeys"]] == ["dropped_off"]
    assert said["next_deadline"] is None


def test_what_reached_its_goal_or_ended_with_silence_is_not_open() -> None:
    assert now(BOUGHT, 2 * DAY).open == []
    assert now(BUYING, 5 * MINUTE + DEFINITIONS[0].ends_after).open != []
    assert now(BUYING, 5 * MINUTE + DEFINITIONS[0].ends_after + 1).open == []


steps = st.lists(st.tuples(st.integers(0, 400 * DAY), st.sampled_from(NAMES), st.booleans()), max_size=30)


@given(steps, st.integers(400 * DAY, 800 * DAY), st.integers(0, 12))
def test_whatever_was_done(steps: list[tuple[int, str, bool]], as_of: int, most: int) -> None:
    touchpoints = tuple(
        touchpoint(n + 1, at, "web", name, **({"feedback": "nps", "score": 3} if felt else {}))
        for n, (at, name, felt) in enumerate(steps)
    )
    found = now(touchpoints, as_of, most)
    newest = sorted(touchpoints, key=lambda one: one.order, reverse=True)
    assert found.last == newest[:most]
    assert found.feedback == [one for one in newest if one.feedback][:MOST_FEEDBACK]
    assert len({told.place for told in found.open}) == len(found.open), "at most one of each definition"
    due = [told.journey.due_at for told in found.open if told.journey.status in ("open", "recovered")]
    assert (found.next_deadline.journey.due_at if found.next_deadline else None) == min(due, default=None)
    assert all(at >= found.as_of for at in due)
