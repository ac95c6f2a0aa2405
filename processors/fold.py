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

# The open journey of one definition: number of its first record, flags, stage last entered. A plain tuple, for speed.
Head = tuple[int, int, int]
NO_HEAD: Head = (NO_JOURNEY, 0, 0)


def step(head: Head, number: int, index: int, silent: int, definition: Definition) -> Head:
    """Take the touchpoint `index`, which means `number` to this definition and came after `silent` ms of silence.

    It joins the open journey, or starts one (the result has another start), or belongs to none.
    """
    start, flags, stage = head
    rank = number & STAGE
    if start != NO_JOURNEY and silent <= definition.ends_after:
        if not (flags & COMPLETED and number & STARTS and (number & GOAL or 0 < rank < definition.goal_rank)):
            return start, (COMPLETED if number & GOAL else flags & COMPLETED), rank or stage
    elif not number & STARTS:
        return NO_HEAD
    return index, (COMPLETED if number & GOAL else 0), rank


def due_at(head: Head, last_at: int, definition: Definition) -> int:
    """When silence after `last_at` becomes a drop-off; 0: it cannot."""
    start, flags, stage = head
    if start == NO_JOURNEY or flags & COMPLETED:
        return 0
    return last_at + (definition.patience[stage] or definition.ends_after)


def deadline(at: int, stage: int, definition: Definition) -> int:
    """Until when silence after a touchpoint at `at`, with which the journey is at `stage` (0: none yet), is no drop-off."""
    return at + (definition.patience[stage] or definition.ends_after)


def spans(
    at: Sequence[int], numbers: Sequence[int], first: int, definition: Definition
) -> tuple[list[tuple[int, int]], Head]:
    """First record and end of every journey among records in order, from record `first` on; and the head after all."""
    found: list[tuple[int, int]] = []
    head = NO_HEAD
    for index in range(first, len(at)):
        before, head = (
            head,
            step(head, numbers[index], index, at[index] - at[index - 1] if index > first else 0, definition),
        )
        if before[0] not in (NO_JOURNEY, head[0]):
            found.append((before[0], index))
    if head[0] != NO_JOURNEY:
        found.append((head[0], len(at)))
    return found, head


class Story(NamedTuple):
    """How a journey went, touchpoint by touchpoint."""

    path_stage: list[int]
    completed: int  # step that reached the goal; -1: none
    due: int  # when the silence after the last touchpoint becomes a drop-off; 0: it cannot
    stage: int  # entered last; 0: none
    entered: int  # bit s is set: stage s was entered
    silences: list[tuple[int, int, int, int]]  # those that ended: deadline, stage, step before it, back at


def story(at: Sequence[int], numbers: Sequence[int], definition: Definition) -> Story:
    """Tell a journey from its touchpoints' times and what they mean to its definition."""
    path_stage = [number & STAGE for number in numbers]
    patience, ends_after = definition.patience, definition.ends_after
    completed, due, stage, entered = -1, 0, 0, 0
    silences: list[tuple[int, int, int, int]] = []
    for index, now in enumerate(at):
        if due and now > due:
            silences.append((due, stage, index - 1, now))
        rank = path_stage[index]
        if rank:
            stage = rank
            entered |= 1 << rank
        if completed >= 0:
            continue
        if numbers[index] & GOAL:
            completed, due = index, 0
        else:
            due = now + (patience[stage] or ends_after)
    return Story(path_stage, completed, due, stage, entered, silences)


class Texts(NamedTuple):
    """What the codes of a partition mean; of the rules' codes to each definition, in their order."""

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
    at, channel, name, rules, feedback, money = packing.columns(records)
    meaning = texts.rules[place]
    path_stage, completed, due, stage, entered, silences = story(at, [meaning[code] for code in rules], definition)
    status: Status = "completed" if completed >= 0 else "recovered" if silences else "open"
    if due and as_of > due:
        status = "dropped_off"
        silences.append((due, stage, len(at) - 1, 0))
    drop_at, drop_stage, drop_step, back_at = map(list, zip(*silences, strict=True)) if silences else ([], [], [], [])
    value = _amounts(money, texts.currencies) if any(money) else {}
    felt = _feelings(feedback) if any(feedback) else _NOTHING_FELT
    channels, names = texts.channels, texts.names
    return Journey(
        journey_id=journey_id(person, definition.name, packing.event(records), at[0]).hex(),
        person_id=person.hex(),
        definition=definition.name,
        definition_version=definition.version,
        started_at=at[0],
        last_at=at[-1],
        status=status,
        stage=stage,
        furthest_stage=entered.bit_length() - 1 if entered else 0,
        stages=entered,
        completed_at=at[completed] if completed >= 0 else 0,
        due_at=due,
        touchpoints=len(at),
        entry_channel=channels[channel[0]],
        value=value,
        peak_end=felt.peak_end,
        drop_off_at=drop_at,
        drop_off_stage=drop_stage,
        drop_off_step=drop_step,
        recovered_at=back_at,
        feedback_kind=felt.kinds,
        feedback_score=felt.scores,
        feedback_step=felt.steps,
        path_time=list(at[:MAX_PATH]),
        path_channel=[channels[code] for code in channel[:MAX_PATH]],
        path_touchpoint=[names[code] for code in name[:MAX_PATH]],
        path_stage=path_stage[:MAX_PATH],
        arrived_at=arrived_at,
        version=version,
    )


class _Felt(NamedTuple):
    kinds: list[str]
    scores: list[int]
    steps: list[int]
    peak_end: float | None


_NOTHING_FELT = _Felt([], [], [], None)


def _feelings(feedback: Sequence[int]) -> _Felt:
    """The feedback of a journey, with the steps it was given at."""
    given = [(step, *packing.unpack_feedback(packed)) for step, packed in enumerate(feedback) if packed]
    felt = [intensity(kind, score, sentiment) for _, kind, score, sentiment in given]
    return _Felt(
        [kind for _, kind, _, _ in given],
        [score for _, _, score, _ in given],
        [step for step, _, _, _ in given],
        peak_end([one for one in felt if one is not None]),
    )


def _amounts(money: Sequence[int], currencies: Sequence[str]) -> dict[str, int]:
    """Minor units per currency."""
    value: dict[str, int] = {}
    for packed in money:
        if packed:
            currency = currencies[packed & 0xFF]
            value[currency] = value.get(currency, 0) + (packed >> 8)
    return value


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
