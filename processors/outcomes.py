"""What happened to journeys, and what of it changes when their touchpoints do. Pure.

Outcomes are a function of a journey's touchpoints, but for one: whether the silence that lasts is a drop-off yet. That is said
by who keeps the deadlines, so what was told can always be computed again and taken back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import NamedTuple

from processors import deadlines, fold
from processors.packing import COMPLETED, DROPPED, HISTORICAL, NO_JOURNEY, ORDER_SIZE, SIZE
from schemas.definition import GOAL, Definition
from schemas.outcome import Outcome, OutcomeKind, outcome_id

_CHANNEL_AND_NAME = Struct(">HH")
Key = tuple[bytes, OutcomeKind, int]  # journey, kind, own time: what the id is a hash of


class Happened(NamedTuple):
    """One outcome, in the codes of the partition."""

    place: int  # of its definition
    stage: int
    channel: int
    name: int
    past: int  # who learns of it after this, ms UTC, learns of history


class Lived(NamedTuple):
    """A journey, from the records of its touchpoints."""

    place: int  # of its definition
    records: bytes
    at: Sequence[int]  # of each touchpoint, ms UTC
    numbers: Sequence[int]  # what each means to the definition
    present: bool  # nothing has come that does not belong to it


Outcomes = dict[Key, Happened]


def of_journey(ident: bytes, journey: Lived, silent: bool, definition: Definition) -> Iterator[tuple[Key, Happened]]:
    """Everything that happened to a journey so far; `silent`: its last silence, if it can be one, is a drop-off."""
    place, records, at, numbers, _ = journey
    if not silent and at[-1] - at[0] <= definition.least_patience and not any(number & GOAL for number in numbers):
        return  # nothing can have happened, and this is what most journeys are
    story = fold.story(at, numbers, definition)
    for deadline, stage, step, back in story.silences:
        yield (ident, "dropped_off", deadline), touched(place, stage, records, step, deadline)
        past = fold.deadline(back, story.path_stage[step + 1] or stage, definition)
        yield (ident, "recovered", back), touched(place, stage, records, step + 1, past)
    if story.completed >= 0:
        step, stage = story.completed, story.path_stage[story.completed]
        past = fold.deadline(at[step], stage, definition)
        yield (ident, "completed", at[step]), touched(place, stage, records, step, past)
    elif silent:
        yield (ident, "dropped_off", story.due), touched(place, story.stage, records, len(at) - 1, story.due)


def touched(place: int, stage: int, records: bytes, step: int, past: int) -> Happened:
    """An outcome with the channel and name of one of these records."""
    channel, name = _CHANNEL_AND_NAME.unpack_from(records, step * SIZE + ORDER_SIZE + 6)
    return Happened(place, stage, channel, name, past)


def newest(
    person: bytes,
    definition: Definition,
    place: int,
    heads: tuple[fold.Head, fold.Head],
    before: bytes,
    record: bytes,
    arrived: int,
    alarm: int,
) -> Iterator[tuple[Key, Happened, bool, bool]]:
    """What a newest touchpoint makes of the journey that was open before it and of the one after: outcome, is it historical,
    is it taken back.

    `heads` are those before and after, `before` the records without `record`, `alarm` the one before.
    """
    (start, flags, stage), after = heads
    at = int.from_bytes(record[:8], "big")
    if start != NO_JOURNEY and not flags & COMPLETED:
        last = len(before) // SIZE - 1
        deadline = fold.deadline(int.from_bytes(before[last * SIZE : last * SIZE + 8], "big"), stage, definition)
        if at > deadline or flags & DROPPED:
            ident, _ = fold.identify(person, definition, before[start * SIZE :])
            dropped = touched(place, stage, before, last, deadline)
            if at <= deadline:
                yield (ident, "dropped_off", deadline), dropped, bool(flags & HISTORICAL), True
            elif not flags & DROPPED:
                yield (ident, "dropped_off", deadline), dropped, deadlines.historical(deadline, alarm), False
            if at > deadline and after[0] == start:
                past = fold.deadline(at, after[2], definition)
                yield (ident, "recovered", at), touched(place, stage, record, 0, past), past < arrived, False
    if after[1] & COMPLETED and (after[0] != start or not flags & COMPLETED):
        ident, _ = fold.identify(person, definition, record if after[0] != start else before[start * SIZE :])
        past = fold.deadline(at, after[2], definition)
        yield (ident, "completed", at), touched(place, after[2], record, 0, past), past < arrived, False


def changes(before: Outcomes, after: Outcomes) -> tuple[Outcomes, Outcomes]:
    """What is new or is told otherwise, and what is no longer so."""
    fresh = {key: one for key, one in after.items() if before.get(key) != one}
    return fresh, {key: one for key, one in before.items() if key not in after}


class Told(NamedTuple):
    """What is to be written of one outcome."""

    person: bytes
    happened: Happened
    historical: bool
    retracted: bool


class Telling:
    """What is to be told of outcomes in one transaction: of each the last word, and nothing that changes nothing."""

    def __init__(self) -> None:
        # the last word, and what stood before this transaction
        self._words: dict[Key, tuple[Told, tuple[Happened, bool] | None]] = {}

    def tell(
        self, person: bytes, key: Key, happened: Happened, *, historical: bool, before: Happened | None = None
    ) -> None:
        """It is so; `before`: it was so already, and something else of it has changed."""
        known = self._words.get(key)
        stood = known[1] if known else None if before is None else (before, historical)
        self._words[key] = Told(person, happened, historical, False), stood

    def retract(self, person: bytes, key: Key, happened: Happened, *, historical: bool) -> None:
        """It is not so any more."""
        known = self._words.get(key)
        self._words[key] = Told(person, happened, historical, True), known[1] if known else (happened, historical)

    def take(self) -> list[tuple[Key, Told]]:
        """What is to be written; and begin anew."""
        words, self._words = self._words, {}
        return [
            (key, told)
            for key, (told, stood) in words.items()
            if stood != (None if told.retracted else (told.happened, told.historical))
        ]


def row(key: Key, told: Told, definition: Definition, texts: fold.Texts, version: int) -> Outcome:
    """The outcome as it is written."""
    journey, kind, at = key
    return Outcome(
        outcome_id=outcome_id(journey, kind, at).hex(),
        journey_id=journey.hex(),
        person_id=told.person.hex(),
        definition=definition.name,
        kind=kind,
        at=at,
        stage=told.happened.stage,
        channel=texts.channels[told.happened.channel],
        touchpoint=texts.names[told.happened.name],
        historical=told.historical,
        retracted=told.retracted,
        version=version,
    )
