"""One customer's touchpoints, read by key, and their journeys, folded here: as true as the touchpoints are, and never behind.

The rows of `journeys` are not asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from processors import fold, packing
from schemas.definition import STAGE, Definition
from schemas.identity import Kinds
from schemas.journey import Journey

if TYPE_CHECKING:
    from sinks.reader import Reader

_TOUCHPOINTS = """
SELECT
    event_id, toUnixTimestamp64Milli(occurred_at), sequence, channel, name, rules, amount, currency, feedback, score,
    sentiment, facts.feedback_text, facts.store, facts.identifiers
FROM
(
    SELECT * FROM person_touchpoints FINAL
    WHERE generation = (SELECT generation FROM live_generation) AND person_id = {person:UUID}
) AS hers
LEFT JOIN
(
    SELECT event_id, feedback_text, store, identifiers FROM touchpoints FINAL
    WHERE event_id IN (SELECT event_id FROM v_touchpoints WHERE person_id = {person:UUID})
) AS facts USING (event_id)
"""
_STAGES = "SELECT definition, stage, name, patience_ms FROM v_stages"


class Touchpoint(NamedTuple):
    """One contact. `at` in ms UTC; `numbers` what it means to each definition; the amount in minor units; "" for nothing."""

    event: bytes
    at: int
    sequence: int
    channel: str
    name: str
    numbers: tuple[int, ...]
    amount: int = 0
    currency: str = ""
    feedback: str = ""
    score: int = -1
    sentiment: str = ""
    text: str = ""
    store: str = ""

    @property
    def order(self) -> tuple[int, int, bytes]:
        """As the contract says: time, sequence or -1, id."""
        return self.at, self.sequence, self.event


@dataclass(frozen=True)
class Told:
    """A journey, and the touchpoints that it consists of."""

    journey: Journey
    definition: Definition
    place: int  # of the definition among the definitions
    touchpoints: tuple[Touchpoint, ...]

    def stage(self, touchpoint: Touchpoint) -> str:
        """Name of the stage that the touchpoint means to this journey; "" for none."""
        return self.stage_name(touchpoint.numbers[self.place] & STAGE)

    def stage_name(self, rank: int) -> str:
        return self.definition.stages[rank - 1].name if rank else ""

    @property
    def path(self) -> list[str]:
        """The stages in the order in which they were entered, repeats collapsed."""
        path: list[str] = []
        for touchpoint in self.touchpoints:
            stage = self.stage(touchpoint)
            if stage and stage != (path[-1] if path else ""):
                path.append(stage)
        return path


@dataclass(frozen=True)
class Life:
    """What is known of one person: identifiers as `kind:value`, journeys by their start, all touchpoints in order."""

    person: UUID
    identifiers: tuple[str, ...]
    touchpoints: tuple[Touchpoint, ...]
    journeys: tuple[Told, ...]

    @property
    def outside(self) -> tuple[Touchpoint, ...]:
        """The touchpoints that belong to no journey."""
        inside = {touchpoint.event for told in self.journeys for touchpoint in told.touchpoints}
        return tuple(touchpoint for touchpoint in self.touchpoints if touchpoint.event not in inside)


class OtherDefinitions(Exception):
    """What is stored was computed with other journey definitions than the configured ones."""

    def __init__(self, stored: str) -> None:
        super().__init__(
            f"{stored}, but other journeys are configured here: set DESIRELINE_DEFINITIONS to the worker's file"
        )


def read(reader: Reader, person: UUID, definitions: Sequence[Definition], kinds: Kinds, as_of: int) -> Life:
    """Everything about one person as it stands at `as_of` (ms UTC). Raises OtherDefinitions."""
    require_same(reader, definitions)
    found: list[Touchpoint] = []
    identifiers: set[str] = set()
    for event, at, sequence, channel, name, rules, *more, used in reader.ask(_TOUCHPOINTS, {"person": person}).rows:
        if len(rules) != len(definitions):
            raise OtherDefinitions(f"touchpoints know {len(rules)} journey definitions, not {len(definitions)}")
        found.append(Touchpoint(event.bytes, at, sequence, channel, name, tuple(rules), *more))
        identifiers.update(f"{kind}:{value}" for kind, value in used.items())
    return lived(person, sorted(identifiers, key=kinds.rank), found, definitions, as_of)


def lived(
    person: UUID,
    identifiers: Sequence[str],
    touchpoints: Iterable[Touchpoint],
    definitions: Sequence[Definition],
    as_of: int,
) -> Life:
    """The life that these touchpoints, in whatever order, come to at `as_of` (ms UTC). Pure."""
    in_order = tuple(sorted(touchpoints, key=lambda touchpoint: touchpoint.order))
    return Life(person, tuple(identifiers), in_order, tuple(journeys(person, in_order, definitions, as_of)))


def journeys(
    person: UUID, touchpoints: Sequence[Touchpoint], definitions: Sequence[Definition], as_of: int
) -> list[Told]:
    """The journeys of one person's touchpoints, which are in order, by their start. Pure."""
    packed, texts = _packed(touchpoints, len(definitions))
    at = [touchpoint.at for touchpoint in touchpoints]
    told = []
    for place, definition in enumerate(definitions):
        numbers = [touchpoint.numbers[place] for touchpoint in touchpoints]
        for first, end in fold.spans(at, numbers, 0, definition)[0]:
            row = fold.journey(
                person.bytes, place, definition, b"".join(packed[first:end]), texts, as_of, arrived_at=0, version=0
            )
            told.append(Told(row, definition, place, tuple(touchpoints[first:end])))
    return sorted(told, key=lambda one: (one.journey.started_at, one.place))


def _packed(touchpoints: Sequence[Touchpoint], definitions: int) -> tuple[list[bytes], fold.Texts]:
    """The touchpoints as the fold takes them: its records, and what their codes mean."""
    channels, names, rules, currencies = (
        packing.Vocabulary(kind, limit) for kind, limit in packing.VOCABULARIES.items()
    )
    records = []
    for one in touchpoints:
        feedback = packing.pack_feedback(one.feedback, one.score, one.sentiment)
        value = one.amount << 8 | currencies.code(one.currency) if one.currency else 0
        codes = channels.code(one.channel), names.code(one.name), rules.code(bytes(one.numbers).hex())
        records.append(packing.RECORD.pack(one.at, one.sequence + 1, one.event, 0, 0, *codes, feedback, value))
    known = [bytes.fromhex(text) for text in rules.texts[1:]]
    meanings = [[0, *(numbers[place] for numbers in known)] for place in range(definitions)]
    return records, fold.Texts(channels.texts, names.texts, meanings, currencies.texts)


def require_same(reader: Reader, definitions: Sequence[Definition]) -> None:
    """Raises OtherDefinitions unless the live tables were computed with these."""
    stored = {(name, rank): (stage, patience) for name, rank, stage, patience in reader.ask(_STAGES).rows}
    configured = {
        (definition.name, rank): (stage.name, stage.patience)
        for definition in definitions
        for rank, stage in enumerate(definition.stages, 1)
    }
    if any(stored.get(key) != stage for key, stage in configured.items()):
        raise OtherDefinitions(f"stages of {', '.join(sorted({name for name, _ in stored})) or 'nothing'} are stored")
