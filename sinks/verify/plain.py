"""The plain fold: journeys from a person's touchpoints, said as simply as can be, and slowly. Pure.

It shares no code with `processors/fold.py`, which says the same of packed records, a touchpoint at a time: each is the check
of the other. Times in ms UTC; `as_of` is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from schemas.definition import GOAL, STAGE, STARTS, Definition
from schemas.journey import MAX_PATH, journey_id
from schemas.outcome import OutcomeKind, outcome_id
from schemas.person import FoldRecord

Event = tuple[str, FoldRecord]  # 32 hex digits, and what a journey needs of the touchpoint


def in_order(events: list[Event]) -> list[Event]:
    """Journey order: time, sequence, id."""
    return sorted(events, key=lambda event: (event[1].at, event[1].sequence, bytes.fromhex(event[0])))


def journeys(events: Sequence[Event], place: int, definition: Definition) -> list[list[Event]]:
    """Cut a person's touchpoints, in journey order, into the journeys of the definition that has this place."""
    found: list[list[Event]] = []
    current: list[Event] | None = None
    completed = False
    before = 0
    goal = [stage.name for stage in definition.stages].index(definition.goal) + 1 if definition.goal else 0
    for event in events:
        record = event[1]
        number = record.rules[place]
        rank, starts, meets_goal = number & STAGE, bool(number & STARTS), bool(number & GOAL)
        if current and record.at - before > definition.ends_after:
            current = None
        if current and completed and starts and (meets_goal or 0 < rank < goal):
            current = None
        if current is None and starts:
            current, completed = [], False
            found.append(current)
        if current is not None:
            current.append(event)
            completed = completed or meets_goal
        before = record.at
    return found


def rows(person: str, events: list[Event], definitions: Sequence[Definition], as_of: int) -> Iterator[dict[str, Any]]:
    """The row of every journey of a person (32 hex digits): the columns of schemas.journey.Journey that are content."""
    ordered = in_order(events)
    for place, definition in enumerate(definitions):
        for journey in journeys(ordered, place, definition):
            event, first = journey[0]
            ident = journey_id(bytes.fromhex(person), definition.name, bytes.fromhex(event), first.at)
            yield {
                "journey_id": ident.hex(),
                "person_id": person,
                "definition": definition.name,
                "definition_version": definition.version,
                **standing(journey, place, definition, as_of),
            }


def standing(journey: Sequence[Event], place: int, definition: Definition, as_of: int) -> dict[str, Any]:
    """The figures of one journey (at least one touchpoint) that its row must show."""
    patience = {rank: stage.patience for rank, stage in enumerate(definition.stages, 1)}
    records = [record for _, record in journey]
    times = [record.at for record in records]
    stages = [record.rules[place] & STAGE for record in records]
    goals = [step for step, record in enumerate(records) if record.rules[place] & GOAL]
    silences = []  # (deadline, stage, step, back at)
    due = 0
    for step, at in enumerate(times):
        if goals and step >= goals[0]:
            break
        stage = _last(stages[: step + 1])
        due = at + patience.get(stage, definition.ends_after)
        is_last = step + 1 == len(times)
        if (as_of if is_last else times[step + 1]) > due:
            silences.append((due, stage, step, 0 if is_last else times[step + 1]))
    if goals:
        status = "completed"
    elif silences and not silences[-1][3]:
        status = "dropped_off"
    else:
        status = "recovered" if silences else "open"
    money: dict[str, int] = {}
    for record in records:
        if record.currency:
            money[record.currency] = money.get(record.currency, 0) + record.amount
    felt = [(step, record) for step, record in enumerate(records) if record.feedback]
    return {
        "started_at": times[0],
        "last_at": times[-1],
        "status": status,
        "stage": _last(stages),
        "furthest_stage": max(stages),
        "stages": sum(1 << stage for stage in set(stages) if stage),
        "completed_at": times[goals[0]] if goals else 0,
        "due_at": 0 if goals else due,
        "touchpoints": len(journey),
        "entry_channel": records[0].channel,
        "value": money,
        "peak_end": _peak_end([record for _, record in felt]),
        "drop_off_at": [silence[0] for silence in silences],
        "drop_off_stage": [silence[1] for silence in silences],
        "drop_off_step": [silence[2] for silence in silences],
        "recovered_at": [silence[3] for silence in silences],
        "feedback_kind": [record.feedback for _, record in felt],
        "feedback_score": [record.score for _, record in felt],
        "feedback_step": [step for step, _ in felt],
        "path_time": times[:MAX_PATH],
        "path_channel": [record.channel for record in records[:MAX_PATH]],
        "path_touchpoint": [record.name for record in records[:MAX_PATH]],
        "path_stage": stages[:MAX_PATH],
    }


def outcomes(
    person: str, events: list[Event], definitions: Sequence[Definition], as_of: int
) -> Iterator[dict[str, Any]]:
    """What had happened to a person's journeys before `as_of`: the columns of schemas.outcome.Outcome that are content, and
    whether it is a silence that lasts."""
    ordered = in_order(events)
    for place, definition in enumerate(definitions):
        for journey in journeys(ordered, place, definition):
            event, first = journey[0]
            ident = journey_id(bytes.fromhex(person), definition.name, bytes.fromhex(event), first.at)
            for kind, at, stage, record in _happened(journey, place, definition, as_of):
                if at < as_of:
                    yield {
                        "outcome_id": outcome_id(ident, kind, at).hex(),
                        "journey_id": ident.hex(),
                        "person_id": person,
                        "definition": definition.name,
                        "kind": kind,
                        "at": at,
                        "stage": stage,
                        "channel": record.channel,
                        "touchpoint": record.name,
                        "lasts": kind == "dropped_off" and record is journey[-1][1],
                    }


def _happened(
    journey: Sequence[Event], place: int, definition: Definition, as_of: int
) -> Iterator[tuple[OutcomeKind, int, int, FoldRecord]]:
    """Kind, time, stage, and the last touchpoint then. A recovery's stage is the one at which the journey had dropped off."""
    stage = 0
    for step, (_, record) in enumerate(journey):
        number = record.rules[place]
        stage = number & STAGE or stage
        if number & GOAL:
            yield "completed", record.at, stage, record
            return
        deadline = record.at + (definition.stages[stage - 1].patience if stage else definition.ends_after)
        following = journey[step + 1][1] if step + 1 < len(journey) else None
        if (following.at if following else as_of) > deadline:
            yield "dropped_off", deadline, stage, record
            if following:
                yield "recovered", following.at, stage, following


def _last(stages: Sequence[int]) -> int:
    """The stage entered last; 0: none."""
    return next((stage for stage in reversed(stages) if stage), 0)


def _feeling(record: FoldRecord) -> float | None:
    """A feedback on -1 (the worst of its scale) … +1 (the best); None where it says nothing."""
    if record.feedback == "nps":  # 0 … 10
        return (record.score - 5) / 5
    if record.feedback in ("csat", "stars"):  # 1 … 5
        return (record.score - 3) / 2
    if record.feedback == "ces":  # 1 … 7
        return (record.score - 4) / 3
    return {"negative": -1.0, "neutral": 0.0, "positive": 1.0}.get(record.sentiment)


def _peak_end(records: Sequence[FoldRecord]) -> float | None:
    """Mean of the most intense feeling (of equals the later) and the last one; None without any."""
    felt = [feeling for feeling in map(_feeling, records) if feeling is not None]
    if not felt:
        return None
    peak = felt[0]
    for feeling in felt:
        if abs(feeling) >= abs(peak):
            peak = feeling
    return (peak + felt[-1]) / 2
