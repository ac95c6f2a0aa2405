"""What happened to journeys, and what of it changes when their touchpoints do. Pure.

Outcomes are a function of a journey's touchpoints, but for one: whether the silence that lasts is a drop-off yet. That is said
by who keeps the deadlines, so what was told can always be computed again and taken back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from struct import Struct
from typing import NamedTuple

from processors import fold, packing
from processors.packing import ORDER_SIZE
from schemas.definition import Definition
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
    """A journey as far as its outcomes depend on it."""

    place: int  # of its definition
    records: bytes
    silent: bool  # its last silence, if there is one that can be, is a drop-off


Outcomes = dict[Key, Happened]


def outcomes(journeys: Mapping[bytes, Lived], definitions: Sequence[Definition], texts: fold.Texts) -> Outcomes:
    """Everything that happened to these journeys (by their ids) so far."""
    return {key: one for ident, journey in journeys.items() for key, one in _of(ident, journey, definitions, texts)}


def _of(
    ident: bytes, journey: Lived, definitions: Sequence[Definition], texts: fold.Texts
) -> Iterator[tuple[Key, Happened]]:
    place, records, silent = journey
    definition = definitions[place]
    columns = packing.columns(records)
    at, channel, name = columns.at, columns.channel, columns.name
    story = fold.story(at, [texts.rules[place][code] for code in columns.rules], definition)
    for deadline, stage, step, back in story.silences:
        yield (ident, "dropped_off", deadline), Happened(place, stage, channel[step], name[step], deadline)
        past = fold.deadline(back, story.path_stage[step + 1] or stage, definition)
        yield (ident, "recovered", back), Happened(place, stage, channel[step + 1], name[step + 1], past)
    if story.completed >= 0:
        step, stage = story.completed, story.path_stage[story.completed]
        past = fold.deadline(at[step], stage, definition)
        yield (ident, "completed", at[step]), Happened(place, stage, channel[step], name[step], past)
    elif silent:
        yield (ident, "dropped_off", story.due), Happened(place, story.stage, channel[-1], name[-1], story.due)


def changes(before: Outcomes, after: Outcomes) -> tuple[Outcomes, Outcomes]:
    """What is new or is told otherwise, and what is no longer so."""
    fresh = {key: one for key, one in after.items() if before.get(key) != one}
    return fresh, {key: one for key, one in before.items() if key not in after}


def touched(place: int, stage: int, record: bytes, past: int) -> Happened:
    """An outcome with the channel and name of a packed record."""
    channel, name = _CHANNEL_AND_NAME.unpack_from(record, ORDER_SIZE + 6)
    return Happened(place, stage, channel, name, past)


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
