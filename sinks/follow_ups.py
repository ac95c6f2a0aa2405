"""Detractors to call back and promoters to thank: who they are, what they did before, and what was done about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple
from uuid import UUID

from schemas.feedback import about
from sinks.queries import query
from sinks.reader import Given, Reader

State = Literal["open", "taken", "done"]
STEPS = 6  # of a story: the last ones up to the answer


class FollowUp(NamedTuple):
    """An answer, and what was done about it. Times in ms UTC, 0 for none."""

    event_id: UUID
    person_id: UUID
    wanted: str  # call_back or thank
    score: int
    answered_at: int
    state: str
    by: str
    since: int
    changes: int


class Step(NamedTuple):
    """A touchpoint of a story; `at` in ms UTC."""

    at: int
    channel: str
    touchpoint: str


class Story(NamedTuple):
    """What led to an answer: its journey's last steps, the touchpoint that it is about, the text that came with it, and whom to
    ask for. Empty where nothing is known."""

    who: str = ""
    steps: tuple[Step, ...] = ()
    channel: str = ""
    touchpoint: str = ""
    text: str = ""


class Faster(Exception):
    """Somebody else changed it just now; says who."""


def follow_ups(
    reader: Reader, states: Sequence[State] = (), *, wanted: str = "", since: int = 0, most: int = 100, id: str = ""
) -> list[FollowUp]:
    """The newest first; all states if none is given. `id` is how the event's id begins. Raises the driver's errors."""
    asked = {"states": list(states), "wanted": wanted, "since": since, "most": most, "id": id}
    return [FollowUp(*row) for row in reader.ask(query("follow_ups"), asked).rows]


def stories(reader: Reader, answers: Sequence[tuple[UUID, UUID, int, int]]) -> dict[UUID, Story]:
    """Event → its story, of (event, person, answered at in ms, NPS) that are stored. Raises the driver's errors."""
    if not answers:
        return {}
    people = Given("people", "UUID", list(dict.fromkeys(person for _, person, _, _ in answers)))
    events = Given("answers", "UUID", [event for event, *_ in answers])
    names = dict(reader.ask(query("follow_up_names"), given=[people]).rows)
    said = {row[0]: row[1:] for row in reader.ask(query("follow_up_said"), given=[people, events]).rows}
    journeys: dict[UUID, list[tuple[Any, ...]]] = {}
    for person, *journey in reader.ask(query("follow_up_journeys"), given=[people]).rows:
        journeys.setdefault(person, []).append(tuple(journey))
    return {
        event: _story(str(names.get(person, "")), said.get(event), journeys.get(person, []), at, score)
        for event, person, at, score in answers
    }


def _story(who: str, said: tuple[Any, ...] | None, journeys: Sequence[tuple[Any, ...]], at: int, score: int) -> Story:
    text, channel, touchpoint = said or ("", "", "")
    for times, channels, touchpoints, stages, kinds, scores, steps in journeys:
        given = zip(steps, kinds, scores, strict=True)
        found = [
            step for step, kind, felt in given if step < len(times) and (times[step], kind, felt) == (at, "nps", score)
        ]
        if not found:
            continue
        step = found[0]
        first = max(0, step + 1 - STEPS)
        did = zip(times[first : step + 1], channels[first : step + 1], touchpoints[first : step + 1], strict=True)
        if not touchpoint:
            place = about(step, stages, steps)
            place = step if place is None else place
            channel, touchpoint = channels[place], touchpoints[place]
        return Story(who, tuple(Step(*one) for one in did), channel, touchpoint, text)
    return Story(who, (), channel, touchpoint, text)


def change(client: Any, one: FollowUp, state: State, by: str) -> None:
    """Note that its state is another one now. Of two who change the same at once the first stands: raises Faster to the other,
    and the driver's errors. `one` is as it was read."""
    number = one.changes + 1
    client.execute("INSERT INTO follow_ups (event_id, number, state, by) VALUES", [(one.event_id, number, state, by)])
    sql = "SELECT toString(state), by FROM follow_ups FINAL WHERE event_id = %(event)s AND number = %(number)s"
    ((stands, who),) = client.execute(sql, {"event": one.event_id, "number": number})
    if (stands, who) != (state, by):
        raise Faster(f"{who or 'somebody'} was faster: it is {stands}")
