"""The plain fold: journeys from the set of a person's touchpoints, said as simply as can be. It shares no code with the
packed one."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.definition import GOAL, STAGE, STARTS, Definition
from schemas.person import Assigned, FoldRecord

Event = tuple[str, FoldRecord]


def live(messages: Iterable[Assigned]) -> list[Event]:
    """What counts of everything that was ever said about one person's touchpoints, in journey order."""
    newest: dict[str, Assigned] = {}
    for m in messages:
        if m.event_id not in newest or (m.revision, m.move) > (newest[m.event_id].revision, newest[m.event_id].move):
            newest[m.event_id] = m
    given = [(event, m.record) for event, m in newest.items() if m.record]
    return sorted(given, key=lambda e: (e[1].at, e[1].sequence, bytes.fromhex(e[0])))


def journeys(events: list[Event], place: int, definition: Definition) -> list[list[Event]]:
    """Cut a person's touchpoints into the journeys of one definition."""
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


def standing(journey: list[Event], place: int, definition: Definition, as_of: int) -> dict[str, object]:
    """The figures of one journey that its row must show."""
    patience = {rank: stage.patience for rank, stage in enumerate(definition.stages, 1)}
    stages = [record.rules[place] & STAGE for _, record in journey]
    times = [record.at for _, record in journey]
    goal_at = next((record.at for _, record in journey if record.rules[place] & GOAL), None)
    silences = []  # (deadline, stage, step, back at)
    for step, at in enumerate(times):
        if goal_at is not None and at >= goal_at and any(r.rules[place] & GOAL for _, r in journey[: step + 1]):
            break
        stage = next((s for s in reversed(stages[: step + 1]) if s), 0)
        deadline = at + patience.get(stage, definition.ends_after)
        back = times[step + 1] if step + 1 < len(times) else as_of
        if back > deadline:
            silences.append((deadline, stage, step, back if step + 1 < len(times) else 0))
    if goal_at is not None:
        status = "completed"
    elif silences:
        status = "recovered" if silences[-1][3] else "dropped_off"
    else:
        status = "open"
    money: dict[str, int] = {}
    for _, record in journey:
        if record.currency:
            money[record.currency] = money.get(record.currency, 0) + record.amount
    return {
        "started_at": times[0],
        "last_at": times[-1],
        "status": status,
        "furthest_stage": max(stages),
        "stages": sum(1 << s for s in set(stages) if s),
        "completed_at": goal_at or 0,
        "touchpoints": len(journey),
        "entry_channel": journey[0][1].channel,
        "value": money,
        "drop_off_at": [s[0] for s in silences],
        "drop_off_stage": [s[1] for s in silences],
        "drop_off_step": [s[2] for s in silences],
        "recovered_at": [s[3] for s in silences],
        "feedback_kind": [r.feedback for _, r in journey if r.feedback],
        "feedback_score": [r.score for _, r in journey if r.feedback],
        "path_time": times,
        "path_channel": [r.channel for _, r in journey],
        "path_touchpoint": [r.name for _, r in journey],
        "path_stage": stages,
    }
