"""A customer's life: which journeys it holds, how it is told."""

from __future__ import annotations

import io
import json
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cli import story
from people import life, objects
from people.life import Life, Touchpoint
from schemas.definition import Rules, load_definitions
from schemas.person import FoldRecord
from tests import oracle

DEFINITIONS = load_definitions()
RULES = Rules(DEFINITIONS)
PERSON = UUID("9a115435-6293-8a56-fe98-a3175b7be519")
MARCH = 1_772_323_200_000  # Sunday 2026-03-01T00:00:00Z
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def touchpoint(number: int, at: int, channel: str, name: str, **more: object) -> Touchpoint:
    event = number.to_bytes(16, "big")
    return Touchpoint(event, MARCH + at, -1, channel, name, tuple(RULES.of(channel, name, {})), **more)  # type: ignore[arg-type]


TACOS = (
    touchpoint(1, 0, "web", "menu_viewed"),
    touchpoint(2, 5 * MINUTE, "web", "reservation_started"),
    touchpoint(3, 4 * DAY, "store", "seated", store="store-001"),
    touchpoint(4, 4 * DAY + 20 * MINUTE, "store", "paid", amount=48_400, currency="MXN"),
    touchpoint(5, 5 * DAY, "email", "survey_answered", feedback="nps", score=2, text="The waiters\nare rude"),
)


def lived(touchpoints: tuple[Touchpoint, ...], as_of: int) -> Life:
    found = life.journeys(PERSON, touchpoints, DEFINITIONS, MARCH + as_of)
    return Life(PERSON, ("customer_id:42", "email:ada@example.com"), touchpoints, tuple(found))


def told(touchpoints: tuple[Touchpoint, ...], as_of: int, zone: str = "UTC") -> str:
    console = Console(file=io.StringIO(), width=120)
    story.show(console, lived(touchpoints, as_of), MARCH + as_of, ZoneInfo(zone))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


# --- which journeys ---------------------------------------------------------------------------------------------------

NAMES = ("menu_viewed", "reservation_started", "seated", "paid", "complaint", "recommended", "email_link_opened")


@given(st.lists(st.tuples(st.integers(0, 400 * DAY), st.sampled_from(NAMES)), max_size=12), st.integers(0, 500 * DAY))
def test_journeys_are_those_of_the_plain_fold(steps: list[tuple[int, str]], as_of: int) -> None:
    touchpoints = tuple(
        sorted((touchpoint(n + 1, at, "web", name) for n, (at, name) in enumerate(steps)), key=lambda one: one.order)
    )
    events = [
        (one.event.hex(), FoldRecord(at=one.at, channel=one.channel, name=one.name, rules=list(one.numbers)))
        for one in touchpoints
    ]
    found = lived(touchpoints, as_of)
    for place, definition in enumerate(DEFINITIONS):
        expected = oracle.journeys(events, place, definition)
        mine = [one for one in found.journeys if one.place == place]
        assert [[t.event.hex() for t in one.touchpoints] for one in mine] == [[e for e, _ in one] for one in expected]
        for one, plain in zip(mine, expected, strict=True):
            standing = oracle.standing(plain, place, definition, MARCH + as_of)
            assert {name: getattr(one.journey, name) for name in standing} == standing
    if len(DEFINITIONS) == 1:
        inside = sum(len(one.touchpoints) for one in found.journeys)
        assert inside + len(found.outside) == len(touchpoints)


# --- how it is told ---------------------------------------------------------------------------------------------------


def test_a_completed_journey_is_told_touchpoint_by_touchpoint() -> None:
    lines = told(TACOS, 6 * DAY).splitlines()
    text = "\n".join(lines)
    assert lines[0] == "customer_id:42  ·  email:ada@example.com"
    assert "5 touchpoints (web, store, email), 1 journey; times in UTC" in lines[1]
    assert "✓ completed  5 touchpoints in 5 d  ·  MXN 484.00  ·  experience -0.60" in text
    assert "research → consideration → decision → purchase → loyalty" in text
    assert "silent for 3 d 23 h: dropped off at consideration on Tue 03 Mar 00:05, and came back" in text
    assert any("00:20:00" in line and "+20 min" in line and "paid" in line and "MXN 484.00" in line for line in lines)
    assert "nps 2 ☹ “The waiters are rude”" in text
    assert lines[-1] == "  ✓ reached purchase on Thu 05 Mar 00:20, after 4 d"


def test_an_open_journey_says_until_when_there_is_time() -> None:
    text = told(TACOS[:2], HOUR)
    assert "● open" in text
    assert (
        "silent for 55 min; if nothing comes until Tue 03 Mar 00:05 (in 1 d 23 h), she drops off at consideration"
        in text
    )


def test_a_dropped_off_journey_says_since_when() -> None:
    text = told(TACOS[:2], 3 * DAY)
    assert "✗ dropped off" in text
    assert "silent for 2 d 23 h: dropped off at consideration on Tue 03 Mar 00:05" in text
    assert "came back" not in text


def test_times_are_those_of_the_zone_asked_for_daylight_saving_included() -> None:
    text = told(TACOS[:1], HOUR, "America/Mexico_City")
    assert "Sat 28 Feb 2026" in text
    assert "18:00:00" in text


def test_what_belongs_to_no_journey_is_shown_too() -> None:
    text = told((touchpoint(1, 0, "email", "email_link_opened"),), HOUR)
    assert "0 journeys" in text
    assert "in no journey" in text
    assert "email_link_opened" in text


def test_no_colour_is_needed() -> None:
    assert "\x1b" not in told(TACOS, 6 * DAY)


def test_as_json_it_says_the_same() -> None:
    said = json.loads(json.dumps(objects.life(lived(TACOS, 6 * DAY))))
    (journey,) = said["journeys"]
    assert said["person_id"] == str(PERSON)
    assert (journey["status"], journey["stage"], journey["value"]) == ("completed", "loyalty", {"MXN": 48_400})
    assert (journey["started_at"], journey["due_at"]) == ("2026-03-01T00:00:00.000Z", None)
    assert journey["drop_offs"] == [
        {
            "at": "2026-03-03T00:05:00.000Z",
            "stage": "consideration",
            "step": 1,
            "recovered_at": "2026-03-05T00:00:00.000Z",
        }
    ]
    assert journey["touchpoints"][3]["value"] == {"amount": 48_400, "currency": "MXN"}
    assert journey["touchpoints"][4]["feedback"] == {
        "kind": "nps", "score": 2, "sentiment": None, "text": "The waiters\nare rude",
    }  # fmt: skip
