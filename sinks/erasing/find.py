"""What is stored of people: their touchpoints in every revision, and what else names them or hangs on them.

Found again and again until there is nothing more: what an erasure that broke off has left behind is found like the rest, even
where the touchpoint itself is gone and only rows about it remain.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from schemas.erasure import Stored
from schemas.identity import Kinds, strong_in, weak_in
from schemas.resolve import Sighted
from sinks.erasing.letters import Letter, Wanted, carries
from sinks.erasing.who import Identifiers, People
from sinks.queries import query
from sinks.reader import Given, Reader

_LETTERS = """
SELECT position, source, record, concat(path, ' ', message), toUnixTimestamp64Milli(at) FROM dead_letters FINAL
WHERE at <= fromUnixTimestamp64Milli({at:Int64}, 'UTC')
"""
_IDENTITIES = "SELECT identifier, own_id, version FROM identities WHERE identifier IN (SELECT value FROM given)"
_JOURNEYS = """
SELECT DISTINCT person_id, journey_id FROM journeys_by_person
WHERE person_id IN (SELECT value FROM given) AND started_at <= fromUnixTimestamp64Milli({at:Int64}, 'UTC')
"""


NOBODY = UUID(int=0)  # whose what is deleted once more is: its receipt is that of the erasure that deleted it first


class Row(NamedTuple):
    """Something that is to be deleted, of whom. What of id, version and position names it depends on `what`."""

    what: str  # event, revision, moved, journey, identifier, letter
    person: UUID
    id: UUID = NOBODY
    version: int = 0
    position: str = ""


@dataclass
class Facts:
    """Touchpoints: those to be ordered away, all whose rows go, and single revisions of others' touchpoints."""

    stored: dict[UUID, list[Stored]] = field(default_factory=dict)  # by person
    events: dict[UUID, UUID] = field(default_factory=dict)  # event → person
    revisions: list[Row] = field(default_factory=list)
    identifiers: dict[str, UUID] = field(default_factory=dict)  # all that stand on them → person


def facts(reader: Reader, people: People, identifiers: Identifiers, at: int, before: Collection[UUID] = ()) -> Facts:
    """The touchpoints of these people that occurred up to `at` (ms UTC), and those of `before`, the events that were ordered
    away already: what was on its way then, or a sink that reads its log once more, may have brought them back.

    Raises the driver's errors.
    """
    owned: dict[UUID, UUID] = dict(reader.stream(query("erase_owned"), given=[Given("given", "UUID", people.names)]))  # type: ignore[arg-type]
    whose = dict(owned)
    named = people.all_names
    found = Facts(identifiers=dict(named))
    by_name = [Given("given", "String", named)]
    for event, name in reader.stream(query("erase_named"), {"strong": list(identifiers.kinds.strong)}, by_name):
        whose.setdefault(event, named[name])
    for event in before:
        whose.setdefault(event, NOBODY)
    rows = reader.stream(query("erase_facts"), given=[Given("given", "UUID", whose)])
    for event, several in groupby(rows, key=lambda row: row[0]):
        revisions = [_Revision(*row[1:]) for row in several]
        theirs = event in owned or whose[event] == NOBODY
        _add(found, event, whose[event], revisions, theirs, named, identifiers.kinds, at)
        owned.pop(event, None)
    found.events |= owned  # the touchpoint is gone, rows about it are not
    return found


class _Revision(NamedTuple):
    """One stored row of a touchpoint."""

    version: int
    arrived: int
    occurred: int
    sequence: int
    source: str
    identifiers: dict[str, str]
    retracted: bool


def _add(
    found: Facts,
    event: UUID,
    person: UUID,
    rows: list[_Revision],
    owned: bool,
    named: dict[str, UUID],
    kinds: Kinds,
    at: int,
) -> None:
    """Decide about one touchpoint; `rows` by rising version, `owned`: it is theirs, whatever it carries."""
    newest = rows[-1]
    strong = strong_in(newest.identifiers, kinds)
    if newest.occurred <= at and (owned or any(name in named for name in strong)):
        found.events[event] = person
        weak = weak_in(newest.identifiers, kinds)
        sighted = Sighted(
            event.bytes, newest.occurred, strong, weak, newest.version >> 96, newest.sequence, bool(newest.retracted)
        )
        arrived = min(row.arrived for row in rows)
        found.stored.setdefault(person, []).append(Stored(sighted, newest.source, arrived))
        for row in rows:
            for name in strong_in(row.identifiers, kinds) + weak_in(row.identifiers, kinds):
                found.identifiers.setdefault(name, person)
        return
    for row in rows[:-1]:
        theirs = [name for name in strong_in(row.identifiers, kinds) if name in named]
        if theirs and row.occurred <= at:
            found.revisions.append(Row("revision", named[theirs[0]], event, row.version))


def all_rows(reader: Reader, people: People, identifiers: Identifiers, found: Facts, at: int) -> Iterator[Row]:
    """Everything that is to be deleted. An identifier goes when nothing that stays carries it. Raises the driver's errors."""
    for event, person in found.events.items():
        yield Row("event", person, event)
    yield from found.revisions
    left = _left(reader, found)
    vanished = {name: person for name, person in found.identifiers.items() if name not in left}
    for name, own, version in reader.stream(_IDENTITIES, given=[Given("given", "String", vanished)]):
        yield Row("identifier", vanished[name], own, version)
    ids = {person: person for person in people.names}
    for name, person in people.all_names.items():
        ids.setdefault(identifiers.own(name), person)
    for person, journey in reader.stream(_JOURNEYS, {"at": at}, [Given("given", "UUID", ids)]):
        yield Row("journey", ids[person], journey)
    events = Given("events", "UUID", found.events)
    for person, event in reader.stream(query("erase_moved"), given=[Given("given", "UUID", ids), events]):
        yield Row("moved", person, event)
    for letter, person in letters(reader, people.all_names | vanished, identifiers.kinds, at):
        yield Row("letter", person, position=letter.position)


def letters(reader: Reader, wanted: dict[str, UUID], kinds: Kinds, at: int) -> Iterable[tuple[Letter, UUID]]:
    """The dead letters up to `at` (ms UTC) that carry one of these identifiers, and whose it is. Reads all letters."""
    looked_for = Wanted(wanted, kinds)
    for row in reader.stream(_LETTERS, {"at": at}):
        letter = Letter(*row)
        name = carries(letter, looked_for)
        if name is not None:
            yield letter, wanted[name]


def _left(reader: Reader, found: Facts) -> set[str]:
    """The identifiers that something still carries when this is gone."""
    given = [
        Given("given", "String", found.identifiers),
        Given("events", "UUID", found.events),
        Given("revisions", "String", [f"{row.id} {row.version}" for row in found.revisions]),
    ]
    return {name for (name,) in reader.stream(query("erase_left"), given=given)}
