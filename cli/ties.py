"""What makes one person: identifiers, devices, the touchpoints that link them, what moved to or from them, and why.

`read` asks ClickHouse; everything else is pure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from schemas.identity import Kinds, strong_in
from sinks.reader import Given

if TYPE_CHECKING:
    from sinks.reader import Reader

# What counts as restated, in the order in which it is told.
CAUSES = ("late", "named", "merge", "split", "correction", "erasure")

_TOUCHPOINTS = """
SELECT
    event_id, toUnixTimestamp64Milli(occurred_at), sequence, name, facts.source, facts.revision,
    toUnixTimestamp64Milli(facts.received_at), facts.identifiers
FROM
(
    SELECT event_id, occurred_at, sequence, name FROM person_touchpoints FINAL
    WHERE generation = (SELECT generation FROM live_generation) AND person_id = {person:UUID}
) AS theirs
LEFT JOIN
(
    SELECT event_id, source, revision, received_at, identifiers FROM touchpoints FINAL
    WHERE event_id IN (SELECT event_id FROM v_touchpoints WHERE person_id = {person:UUID})
) AS facts USING (event_id)
"""
_OWNERS = """
SELECT identifier, person_id, shared FROM v_identities
WHERE person_id = {person:UUID} OR identifier IN (SELECT value FROM carried)
"""
_FORMER = "SELECT old_person_id FROM v_person_aliases WHERE person_id = {person:UUID} ORDER BY old_person_id"
_MOVES = """
SELECT
    event_id, moved.person_id, moved.to_person_id, moved.cause, toUnixTimestamp64Milli(moved.at), moved.revision, facts.name,
    toUnixTimestamp64Milli(facts.occurred_at)
FROM (SELECT * FROM v_restatements WHERE person_id = {person:UUID} OR to_person_id = {person:UUID}) AS moved
LEFT JOIN
(
    SELECT event_id, name, occurred_at FROM touchpoints FINAL
    WHERE event_id IN (SELECT event_id FROM v_restatements WHERE person_id = {person:UUID} OR to_person_id = {person:UUID})
) AS facts USING (event_id)
ORDER BY moved.at, event_id, moved.move
"""


class Touchpoint(NamedTuple):
    """What identity shows of one. Times in ms UTC; without its facts (they may follow a moment later) `received` is 0."""

    event: UUID
    at: int
    sequence: int
    name: str
    source: str
    revision: int
    received: int
    identifiers: Mapping[str, str]

    @property
    def order(self) -> tuple[int, int, bytes]:
        """As the contract says: time, sequence or -1, id."""
        return self.at, self.sequence, self.event.bytes


class Tie(NamedTuple):
    """An identifier: on how many of the person's touchpoints it stands, on the first of them when; whose it is."""

    identifier: str
    touchpoints: int
    since: int | None  # ms UTC
    owner: UUID | None  # None: not known (yet)
    shared: bool


class Link(NamedTuple):
    """Two names that stand together: on how many touchpoints, and the first of them."""

    names: tuple[str, str]
    touchpoints: int
    first: Touchpoint


class Move(NamedTuple):
    """A touchpoint that left a person; `to` is whose it is now, None: nobody's. `name` is "" if it was retracted."""

    event: UUID
    person: UUID
    to: UUID | None
    cause: str
    at: int
    revision: int
    name: str
    occurred: int


@dataclass(frozen=True)
class Ties:
    """Everything about the identity of one person."""

    person: UUID
    former: tuple[UUID, ...]
    touchpoints: tuple[Touchpoint, ...]
    names: tuple[Tie, ...]
    devices: tuple[Tie, ...]
    links: tuple[Link, ...]
    moves: tuple[Move, ...]

    @property
    def restated(self) -> dict[str, int]:
        """By cause, how many touchpoints changed what was said of this person before."""
        return restated(self.touchpoints, self.moves)


def read(reader: Reader, person: UUID, kinds: Kinds) -> Ties:
    """As it is now; without touchpoints and moves nothing is known of this person."""
    found = [Touchpoint(*row) for row in reader.ask(_TOUCHPOINTS, {"person": person}).rows]
    found.sort(key=lambda touchpoint: touchpoint.order)
    carried = {f"{kind}:{value}" for one in found for kind, value in one.identifiers.items()}
    rows = reader.ask(_OWNERS, {"person": person}, given=[Given("carried", "String", sorted(carried))]).rows
    owners = {identifier: (owner, bool(shared)) for identifier, owner, shared in rows}
    names, devices = ties(found, owners, kinds)
    moves = [Move(*row) for row in reader.ask(_MOVES, {"person": person}).rows]
    former = tuple(old for (old,) in reader.ask(_FORMER, {"person": person}).rows)
    shared = {tie.identifier for tie in names if tie.shared}
    return Ties(person, former, tuple(found), names, devices, tuple(links(found, shared, kinds)), tuple(moves))


def ties(
    touchpoints: Iterable[Touchpoint], owners: Mapping[str, tuple[UUID, bool]], kinds: Kinds
) -> tuple[tuple[Tie, ...], tuple[Tie, ...]]:
    """Names and devices, the most trusted kind first: what the touchpoints (in order) carry, and what else is the person's."""
    since: dict[str, int] = {}
    count: Counter[str] = Counter()
    for one in touchpoints:
        for kind, value in one.identifiers.items():
            identifier = f"{kind}:{value}"
            count[identifier] += 1
            since.setdefault(identifier, one.at)
    found: tuple[list[Tie], list[Tie]] = [], []
    for identifier in sorted(count.keys() | owners.keys(), key=kinds.rank):
        owner, shared = owners.get(identifier, (None, False))
        tie = Tie(identifier, count[identifier], since.get(identifier), owner, shared)
        found[identifier.partition(":")[0] not in kinds.strong].append(tie)
    return tuple(found[0]), tuple(found[1])


def links(touchpoints: Iterable[Touchpoint], shared: Iterable[str], kinds: Kinds) -> list[Link]:
    """The pairs of names that stand together on a touchpoint (in order), by the first that links them; shared ones do not."""
    found: dict[tuple[str, str], Link] = {}
    nobodys = set(shared)
    for one in touchpoints:
        for pair in combinations([name for name in strong_in(one.identifiers, kinds) if name not in nobodys], 2):
            known = found.get(pair)
            found[pair] = Link(pair, 1, one) if known is None else known._replace(touchpoints=known.touchpoints + 1)
    return list(found.values())


def late(touchpoints: Sequence[Touchpoint]) -> int:
    """How many of the touchpoints, in order, arrived after one that follows them. What corrects another is not late."""
    count, earliest = 0, None
    for one in reversed(touchpoints):
        if not one.received:
            continue
        if earliest is not None and one.received > earliest and one.revision <= 1:
            count += 1
        earliest = one.received if earliest is None else min(earliest, one.received)
    return count


def restated(touchpoints: Sequence[Touchpoint], moves: Iterable[Move]) -> dict[str, int]:
    """Cause → touchpoints, each once per cause, without those that are none; a touchpoint corrected in place counts too."""
    by_cause: dict[str, set[UUID]] = defaultdict(set)
    for move in moves:
        by_cause[move.cause].add(move.event)
    by_cause["correction"].update(one.event for one in touchpoints if one.revision > 1)
    counts = {cause: len(events) for cause, events in by_cause.items()} | {"late": late(touchpoints)}
    order = [*CAUSES, *sorted(counts.keys() - set(CAUSES))]
    return {cause: counts[cause] for cause in order if counts.get(cause)}
