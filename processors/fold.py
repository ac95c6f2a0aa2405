"""Journeys as a pure function of a person's touchpoints: what starts one, what joins it, what ends it, how it stands.

`step` is the one rule, a touchpoint at a time in journey order. Everything else applies it: the stitch leg to the newest
touchpoint, `spans` to all of them. Times in ms UTC. No clock: `as_of` is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from processors import packing
from processors.experience import intensity, peak_end
from processors.packing import COMPLETED, NO_JOURNEY
from schemas.definition import GOAL, STAGE, STARTS, Definition
from schemas.journey import MAX_PATH, Journey, Status, journey_id


class Head(NamedTuple):
    """The open journey of one definition: number of its first record, flags, stage last entered."""

    start: int = NO_JOURNEY
    flags: int = 0
    stage: int = 0


def step(head: Head, number: int, index: int, silent: int, definition: Definition) -> Head:
    """Take the touchpoint `index`, which means `number` to this definition and came after `silent` ms of silence.

    It joins the open journey, or starts one (the result has another `start`), or belongs to none.
    """
    start, flags, stage = head
    rank = number & STAGE
    if start != NO_JOURNEY and silent <= definition.ends_after:
        again = number & GOAL or 0 < rank < definition.goal_rank
        if not (flags & COMPLETED and again and number & STARTS):
            return Head(start, flags | (COMPLETED if number & GOAL else 0), rank or stage)
    elif not number & STARTS:
        return Head()
    return Head(index, COMPLETED if number & GOAL else 0, rank)


def due_at(head: Head, last_at: int, definition: Definition) -> int:
    """When silence after `last_at` becomes a drop-off; 0: it cannot."""
    if head.start == NO_JOURNEY or head.flags & COMPLETED:
        return 0
    return last_at + (definition.patience[head.stage] or definition.ends_after)


def spans(
    at: Sequence[int], numbers: Sequence[int], first: int, definition: Definition
) -> tuple[list[tuple[int, int]], Head]:
    """First record and end of every journey among records in order, from record `first` on; and the head after all."""
    found: list[tuple[int, int]] = []
    head = Head()
    for index in range(first, len(at)):
        before, head = (
            head,
            step(head, numbers[index], index, at[index] - at[index - 1] if index > first else 0, definition),
        )
        if before.start not in (NO_JOURNEY, head.start):
            found.append((before.start, index))
    if head.start != NO_JOURNEY:
        found.append((head.start, len(at)))
    return found, head


class Texts(NamedTuple):
    """What the codes of a partition mean. `rules[code]` holds one number per definition."""

    channels: Sequence[str]
    names: Sequence[str]
    rules: Sequence[Sequence[int]]
    currencies: Sequence[str]


def identify(person: bytes, definition: Definition, first_record: bytes) -> tuple[bytes, int]:
    """Journey id and start, ms UTC, from the record it starts with."""
    started_at, _, event = packing.ORDER.unpack_from(first_record)
    return journey_id(person, definition.name, event, started_at), started_at


def journey(
    person: bytes,
    place: int,
    definition: Definition,
    records: bytes,
    texts: Texts,
    as_of: int,
    arrived_at: int,
    version: int,
) -> Journey:
    """The row of the journey that consists of `records` (at least one, none gone) as it stands at `as_of`.

    `place` is the definition's place among the definitions.
    """
    c = packing.columns(records)
    numbers = [texts.rules[code][place] for code in c.rules]
    path_stage = [number & STAGE for number in numbers]
    ident, started_at = identify(person, definition, records)
    completed_at, due, stage, entered = 0, 0, 0, 0
    drop_at: list[int] = []
    drop_stage: list[int] = []
    drop_step: list[int] = []
    back_at: list[int] = []
    for index, (at, rank) in enumerate(zip(c.at, path_stage, strict=True)):
        if due and at > due:
            drop_at.append(due)
            drop_stage.append(stage)
            drop_step.append(index - 1)
            back_at.append(at)
        if rank:
            stage = rank
            entered |= 1 << rank
        if numbers[index] & GOAL and not completed_at:
            completed_at = at
        due = 0 if completed_at else at + (definition.patience[stage] or definition.ends_after)
    status: Status = "completed" if completed_at else "recovered" if drop_at else "open"
    if due and as_of > due:
        status = "dropped_off"
        drop_at.append(due)
        drop_stage.append(stage)
        drop_step.append(len(c.at) - 1)
        back_at.append(0)
    value: dict[str, int] = {}
    if any(c.money):
        for money in c.money:
            if money:
                currency = texts.currencies[money & 0xFF]
                value[currency] = value.get(currency, 0) + (money >> 8)
    kinds: list[str] = []
    scores: list[int] = []
    steps: list[int] = []
    felt: list[float] = []
    if any(c.feedback):
        for index, packed in enumerate(c.feedback):
            if packed:
                kind, score, sentiment = packing.unpack_feedback(packed)
                kinds.append(kind)
                scores.append(score)
                steps.append(index)
                felt_now = intensity(kind, score, sentiment)
                if felt_now is not None:
                    felt.append(felt_now)
    channels, names = texts.channels, texts.names
    return Journey(
        journey_id=ident.hex(),
        person_id=person.hex(),
        definition=definition.name,
        definition_version=definition.version,
        started_at=started_at,
        last_at=c.at[-1],
        status=status,
        stage=stage,
        furthest_stage=entered.bit_length() - 1 if entered else 0,
        stages=entered,
        completed_at=completed_at,
        due_at=due,
        touchpoints=len(c.at),
        entry_channel=channels[c.channel[0]],
        value=value,
        peak_end=peak_end(felt),
        drop_off_at=drop_at,
        drop_off_stage=drop_stage,
        drop_off_step=drop_step,
        recovered_at=back_at,
        feedback_kind=kinds,
        feedback_score=scores,
        feedback_step=steps,
        path_time=list(c.at[:MAX_PATH]),
        path_channel=[channels[code] for code in c.channel[:MAX_PATH]],
        path_touchpoint=[names[code] for code in c.name[:MAX_PATH]],
        path_stage=path_stage[:MAX_PATH],
        arrived_at=arrived_at,
        version=version,
    )


def tombstone(
    person: bytes, definition: Definition, ident: bytes, started_at: int, arrived_at: int, version: int
) -> Journey:
    """The last row of a journey that ceased to exist: its key as it was, and nothing else."""
    return Journey(
        journey_id=ident.hex(),
        person_id=person.hex(),
        definition=definition.name,
        definition_version=definition.version,
        started_at=started_at,
        last_at=started_at,
        status="open",
        stage=0,
        furthest_stage=0,
        stages=0,
        completed_at=0,
        due_at=0,
        touchpoints=0,
        entry_channel="",
        value={},
        peak_end=None,
        drop_off_at=[],
        drop_off_stage=[],
        drop_off_step=[],
        recovered_at=[],
        feedback_kind=[],
        feedback_score=[],
        feedback_step=[],
        path_time=[],
        path_channel=[],
        path_touchpoint=[],
        path_stage=[],
        arrived_at=arrived_at,
        version=version,
        is_deleted=1,
    )
