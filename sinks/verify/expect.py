"""From the stored touchpoints to what every table must say: people, then touchpoints by device, then journeys by person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

import msgspec

from schemas.definition import Definition, Rules
from schemas.identity import Kinds, person_id
from schemas.person import FoldRecord
from sinks.queries import query
from sinks.reader import Reader
from sinks.verify import batch, plain
from sinks.verify.batch import Seen
from sinks.verify.compare import Bucket, Difference, Scope, hour_of
from sinks.verify.erased import Erased
from sinks.verify.figures import Figures
from sinks.verify.late import NOT_SILENT, Lateness
from sinks.verify.store import Store, carry

T = TypeVar("T")
Tell = Callable[[str, int], None]  # what is being done, and how many were done so far
NEWS = 60_000  # ms after the last news of a person
TELL_EVERY = 10_000
MOST_LATE = 10_000  # that are named; all are counted


@dataclass(frozen=True)
class Configuration:
    """What the answer depends on besides the touchpoints: as the worker's settings, and what operators ordered."""

    definitions: Sequence[Definition]
    kinds: Kinds
    secret: bytes
    max_touchpoints: int
    blocked: frozenset[str] = frozenset()
    erased: Erased = batch.NOTHING
    horizon: int = 0  # ms
    deadlines_at: int = 0  # up to when the stitch leg has let deadlines pass, ms UTC


@dataclass
class Folded:
    """Of all people in scope: the figures, the hours with journeys of people who changed, what was counted on the way."""

    figures: Figures = field(default_factory=Figures)
    moving: set[Bucket] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    late: list[Difference] = field(default_factory=list)  # what journeys must have some day, and cannot have yet


def resolve(reader: Reader, store: Store, configuration: Configuration, tell: Tell) -> None:
    """Fill the store with whose every touchpoint and identifier is. Raises the driver's errors."""
    kinds, blocked, erased = configuration.kinds, configuration.blocked, configuration.erased
    person = lru_cache(1 << 16)(lambda identifier: person_id(identifier, configuration.secret).bytes)
    names = batch.names(_telling(_combinations(reader, configuration), "names", tell), kinds, blocked, erased)
    store.put_identities((name, person(names.person.get(name, name)), name not in names.person) for name in names.known)
    seen = _telling(_seen(reader, configuration), "touchpoints", tell)
    homes = batch.homes(seen, names.person, kinds, blocked, erased)
    for some in _parts(homes, 1000):
        store.put_touchpoints(
            (one.event, person(owner), one.at, *_arrived_and_record(one.carried))
            for home in some
            for one, owner in home.owned
        )
        store.put_identities(
            (home.device, person(home.person), home.device in blocked) for home in some if home.person is not None
        )


def fold(
    store: Store,
    configuration: Configuration,
    lateness: Lateness,
    as_of: int,
    scope: Scope,
    changed_after: int,
    tell: Tell,
) -> Folded:
    """Put the journeys of the people in scope into the store, as at `as_of`, without what came late; who has touchpoints that
    arrived after `changed_after` may have other ones by now."""
    found = Folded()
    people = _telling(store.people(configuration.max_touchpoints, lateness), "people", tell)
    for person, events, arrived, arrivals in people:
        if not scope(person):
            continue
        found.counts["people"] += 1
        for late in lateness.named(person, arrivals, configuration.horizon):
            found.counts["late"] += 1
            if len(found.late) < MOST_LATE or late.cause == NOT_SILENT:
                found.late.append(late)
        if events is None:
            found.counts["people above max_touchpoints"] += 1
            continue
        rows = list(plain.rows(person, events, configuration.definitions, as_of))
        store.put_journeys(rows)
        # A silence that lasts becomes a drop-off when its deadline has passed, one of history a while after the last news.
        told = 0 if arrived + NEWS >= configuration.deadlines_at else configuration.deadlines_at
        happened = plain.outcomes(person, events, configuration.definitions, as_of)
        store.put_outcomes(row | {"may_wait": row["lasts"] and row["at"] >= told} for row in happened)
        for row in rows:
            found.figures.add(row)
            if arrived > changed_after:
                found.moving.add(hour_of(row))
    return found


def _combinations(reader: Reader, configuration: Configuration) -> Iterator[Sequence[str]]:
    """Which strong identifiers stand together on live touchpoints; each once, unless something was erased."""
    asked, erased = {"strong": list(configuration.kinds.strong)}, configuration.erased
    if not erased:
        yield from (names for (names,) in reader.stream(query("verify_names"), asked))
        return
    for event, at, names in reader.stream(query("verify_named"), asked):
        if not erased.takes(bytes.fromhex(event), at, names):
            yield names


def _seen(reader: Reader, configuration: Configuration) -> Iterator[Seen]:
    """Every live touchpoint once for each of its devices, device by device."""
    kinds, rules, erased = configuration.kinds, Rules(configuration.definitions), configuration.erased
    reads = any(definition.properties_read for definition in configuration.definitions)
    asked = {"strong": list(kinds.strong), "weak": list(kinds.weak), "rules_read": int(reads)}
    for device, at_home, event, at, sequence, names, source, *told, arrived in reader.stream(
        query("verify_homes"), asked
    ):
        ident = bytes.fromhex(event)
        if erased.takes(ident, at, names):
            continue
        carried = arrived.to_bytes(8, "big") + carry(_record(at, sequence, rules, *told)) if at_home else b""
        shared = source in kinds.shared_sources
        yield Seen(device, bool(at_home), ident, at, sequence, names, shared, carried)


def _record(
    at: int,
    sequence: int,
    rules: Rules,
    channel: str,
    name: str,
    amount: int,
    currency: str,
    feedback: str,
    score: int,
    sentiment: str,
    properties: str,
) -> FoldRecord:
    read: Mapping[str, Any] = msgspec.json.decode(properties) if properties else {}
    numbers = rules.of(channel, name, read)
    return FoldRecord(at, channel, name, numbers, sequence, amount, currency, feedback, score, sentiment)


def _arrived_and_record(carried: bytes) -> tuple[int, bytes]:
    return int.from_bytes(carried[:8], "big"), carried[8:]


def _telling(items: Iterator[T], what: str, tell: Tell) -> Iterator[T]:
    count = 0
    for count, item in enumerate(items, 1):
        yield item
        if count % TELL_EVERY == 0:
            tell(what, count)
    tell(what, count)


def _parts(items: Iterator[T], size: int) -> Iterator[Collection[T]]:
    while some := list(islice(items, size)):
        yield some
