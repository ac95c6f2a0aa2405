"""What the tests expect of journeys: the plain fold of `sinks/verify/plain.py`, and the statements that lead to it."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.definition import Definition
from schemas.person import Assigned
from sinks.verify import plain
from sinks.verify.plain import Event, in_order, journeys

__all__ = ["Event", "journeys", "live", "standing"]

_NOT_COMPARED = {"stage", "due_at", "peak_end", "feedback_step"}  # not every reader of a row can tell these


def live(messages: Iterable[Assigned]) -> list[Event]:
    """What counts of everything that was ever said about one person's touchpoints, in journey order."""
    newest: dict[str, Assigned] = {}
    for m in messages:
        if m.event_id not in newest or (m.revision, m.move) > (newest[m.event_id].revision, newest[m.event_id].move):
            newest[m.event_id] = m
    return in_order([(event, m.record) for event, m in newest.items() if m.record])


def standing(journey: list[Event], place: int, definition: Definition, as_of: int) -> dict[str, object]:
    """The figures of one journey that everything which shows journeys must show."""
    figures = plain.standing(journey, place, definition, as_of)
    return {name: value for name, value in figures.items() if name not in _NOT_COMPARED}
