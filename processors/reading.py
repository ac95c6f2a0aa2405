"""A person's packed touchpoints, read as a whole: their journeys, and the head that belongs to them. Pure.

The stitch leg needs it where a touchpoint is not simply the newest. The head's flags of a silence that was told as a drop-off
are no function of the touchpoints; they are carried over from the value before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from struct import Struct
from typing import NamedTuple

from processors import deadlines, fold, packing
from processors.outcomes import Key, Lived, Outcomes, of_journey
from processors.packing import DROPPED, FORMAT, GONE, HISTORICAL, SIZE, TOO_MANY
from schemas.definition import Definition


class Reading(NamedTuple):
    """What a person's records come to."""

    journeys: dict[bytes, Lived]  # by id
    heads: list[fold.Head]  # by definition, without flags of a silence
    last_at: int  # time of the last touchpoint; 0: none
    too_many: bool


def read(person: bytes, records: bytes, definitions: Sequence[Definition], texts: fold.Texts, most: int) -> Reading:
    """The journeys of a person (none where they have more than `most` touchpoints) from records in order."""
    heads = [fold.NO_HEAD] * len(definitions)
    if not records:
        return Reading({}, heads, 0, False)
    columns = packing.columns(records)
    at, codes = columns.at, columns.rules
    first = 0
    if codes[0] == GONE:  # these are in front
        first = next((index for index, code in enumerate(codes) if code != GONE), len(codes))
    found: dict[bytes, Lived] = {}
    if first == len(codes) or len(codes) - first > most:
        return Reading(found, heads, 0, first < len(codes))
    for place, definition in enumerate(definitions):
        meaning = texts.rules[place]
        numbers = [0] * first + [meaning[code] for code in codes[first:]]
        spans, heads[place] = fold.spans(at, numbers, first, definition)
        for start, end in spans:
            own = records[start * SIZE : end * SIZE]
            ident, _ = fold.identify(person, definition, own)
            found[ident] = Lived(place, own, at[start:end], numbers[start:end], start == heads[place][0])
    return Reading(found, heads, at[-1], False)


def told(reading: Reading, flags: Sequence[int], definitions: Sequence[Definition]) -> dict[Key, bool]:
    """The silences that last and have been told as drop-offs, and whether as historical; `flags` by definition."""
    found: dict[Key, bool] = {}
    if not any(one & DROPPED for one in flags):
        return found
    for ident, journey in reading.journeys.items():
        if journey.present and flags[journey.place] & DROPPED:
            definition = definitions[journey.place]
            deadline = fold.due_at(reading.heads[journey.place], reading.last_at, definition)
            found[ident, "dropped_off", deadline] = bool(flags[journey.place] & HISTORICAL)
    return found


def flags(reading: Reading, told: Mapping[Key, bool], definitions: Sequence[Definition]) -> list[int]:
    """The heads' flags, by definition: `told` of what was there before still holds where deadline and journey are the same."""
    found = [head[1] for head in reading.heads]
    for ident, journey in reading.journeys.items() if told else ():
        if journey.present:
            head = reading.heads[journey.place]
            due = fold.due_at(head, reading.last_at, definitions[journey.place])
            historical = told.get((ident, "dropped_off", due))
            if historical is not None:
                found[journey.place] |= DROPPED | (HISTORICAL if historical else 0)
    return found


def value(
    records: bytes,
    reading: Reading,
    flags: Sequence[int],
    head: Struct,
    definitions: Sequence[Definition],
    arrived: int,
    before: bytes,
) -> bytes:
    """The packed value; `arrived`: when what changes it came, `before`: the one that was."""
    now: list[int] = []
    due = 0
    for (start, _, stage), own, definition in zip(reading.heads, flags, definitions, strict=True):
        mine = 0 if own & DROPPED else fold.due_at((start, own, stage), reading.last_at, definition)
        if mine and not 0 < due < mine:
            due = mine
        now += start, own, stage
    alarm = deadlines.alarm(due, arrived, packing.alarm(before))
    news = max(arrived, packing.news(before))
    return b"".join((FORMAT, records, head.pack(*now, news, alarm, TOO_MANY if reading.too_many else 0)))


def differing(
    one: Reading,
    flags_of_one: Sequence[int],
    other: Reading,
    flags_of_other: Sequence[int],
    definitions: Sequence[Definition],
) -> Outcomes:
    """What happened to the journeys of `one` that are not just the same in `other`."""
    found: Outcomes = {}
    for ident, journey in one.journeys.items():
        silent = _silent(journey, flags_of_one)
        same = other.journeys.get(ident)
        if same is None or same.records != journey.records or _silent(same, flags_of_other) != silent:
            found.update(of_journey(ident, journey, silent, definitions[journey.place]))
    return found


def _silent(journey: Lived, flags: Sequence[int]) -> bool:
    """Is its last silence a drop-off? One that is no longer present fell silent, or is completed."""
    return not journey.present or bool(flags[journey.place] & DROPPED)
