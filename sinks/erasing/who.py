"""Who is meant: from what the operator wrote to people, their names, and how much is stored of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from schemas.identity import Kinds, person_id
from sinks.reader import Given, Reader

_IDENTITIES = """
SELECT identifier, person_id, own_id, shared FROM identities FINAL
WHERE generation = (SELECT generation FROM live_generation) AND {which} IN (SELECT value FROM given)
"""
_ALIASES = "SELECT old_person_id, person_id FROM v_person_aliases WHERE old_person_id IN (SELECT value FROM given)"
_KNOWN = """
SELECT person_id FROM v_touchpoints WHERE person_id IN (SELECT value FROM given) GROUP BY person_id
UNION DISTINCT SELECT person_id FROM v_erasures WHERE person_id IN (SELECT value FROM given)
"""
_STORED = """
SELECT person_id, count(), toUnixTimestamp64Milli(min(occurred_at)), toUnixTimestamp64Milli(max(occurred_at))
FROM v_touchpoints WHERE person_id IN (SELECT value FROM given) GROUP BY person_id
"""
_SILENT = """
SELECT person_id FROM v_touchpoints GROUP BY person_id
HAVING max(occurred_at) < fromUnixTimestamp64Milli({since:Int64}, 'UTC') ORDER BY person_id
"""


class NotErasable(ValueError):
    """What was given names nobody, or several people: says why, and what helps."""


class Stored(NamedTuple):
    """How much there is of one person: touchpoints, and when the first and the last occurred, ms UTC."""

    touchpoints: int = 0
    first: int = 0
    last: int = 0


@dataclass(frozen=True)
class Identifiers:
    """What is configured about identifiers, and the key of their hashes."""

    kinds: Kinds
    secret: bytes

    def own(self, identifier: str) -> UUID:
        """The id of the person that it is by itself."""
        return person_id(identifier, self.secret)

    def is_strong(self, identifier: str) -> bool:
        return identifier.partition(":")[0] in self.kinds.strong


@dataclass(frozen=True)
class People:
    """The people to be erased, each with the names that are theirs alone (`kind:value`)."""

    names: Mapping[UUID, frozenset[str]]

    @property
    def all_names(self) -> dict[str, UUID]:
        """Name → person."""
        return {name: person for person, names in self.names.items() for name in names}


def chosen(reader: Reader, given: Collection[str | UUID], identifiers: Identifiers) -> People:
    """The people that these identifiers (`kind:value`, normalised) or ids name. Raises NotErasable, and the driver's errors."""
    written = [one for one in given if isinstance(one, str)]
    rows = {row[0]: row[1:] for row in _identities(reader, "identifier", "String", written)}
    people: dict[UUID, set[str]] = {}
    for identifier in written:
        person, own, shared = rows.get(identifier, (identifiers.own(identifier), identifiers.own(identifier), False))
        if identifier in rows:
            _check_secret(identifier, own, identifiers)
        if shared:
            raise NotErasable(f"{identifier} is shared by many and names nobody: name the customer otherwise")
        if not identifiers.is_strong(identifier) and person != own:
            raise NotErasable(
                f"{identifier} explains touchpoints of several people over time: name the customer by a "
                f"{' or '.join(identifiers.kinds.strong)}, or by the id that `desireline person` shows"
            )
        people.setdefault(person, set()).update({identifier} if identifiers.is_strong(identifier) else ())
    ids = [one for one in given if isinstance(one, UUID)]
    aliases = dict(reader.ask(_ALIASES, given=[Given("given", "UUID", ids)]).rows) if ids else {}
    for one in ids:
        people.setdefault(aliases.get(one, one), set())
    found = with_names(reader, people, identifiers)
    known = {person for (person,) in reader.ask(_KNOWN, given=[Given("given", "UUID", ids)]).rows} if ids else set()
    for one in ids:
        person = aliases.get(one, one)
        if person not in known and not found.names[person]:
            raise NotErasable(f"nobody is known by the id {one}")
    return found


def silent_since(reader: Reader, since: int, identifiers: Identifiers) -> People:
    """Everybody whose newest touchpoint occurred before `since` (ms UTC). Raises the driver's errors."""
    rows = reader.stream(_SILENT, {"since": since})
    return with_names(reader, {person: set() for (person,) in rows}, identifiers)


def with_names(reader: Reader, people: Mapping[UUID, Iterable[str]], identifiers: Identifiers) -> People:
    """Add the names that are theirs by now, without shared ones. Raises NotErasable, and the driver's errors."""
    names = {person: set(some) for person, some in people.items()}
    for identifier, person, own, shared in _identities(reader, "person_id", "UUID", names):
        if not shared and identifiers.is_strong(identifier):
            _check_secret(identifier, own, identifiers)
            names[person].add(identifier)
    return People({person: frozenset(some) for person, some in names.items()})


def stored(reader: Reader, people: Iterable[UUID]) -> dict[UUID, Stored]:
    """How much there is of each; who has no touchpoints is not in it. Raises the driver's errors."""
    rows = reader.ask(_STORED, given=[Given("given", "UUID", people)]).rows
    return {person: Stored(*counted) for person, *counted in rows}


def shared_among(reader: Reader, names: Iterable[str]) -> set[str]:
    """Those of these identifiers that name nobody. Raises the driver's errors."""
    return {row[0] for row in _identities(reader, "identifier", "String", names) if row[3]}


def _identities(reader: Reader, which: str, kind: str, values: Iterable[object]) -> list[tuple[str, UUID, UUID, bool]]:
    return reader.ask(_IDENTITIES.format(which=which), given=[Given("given", kind, values)]).rows


def _check_secret(identifier: str, own: UUID, identifiers: Identifiers) -> None:
    if own.int and own != identifiers.own(identifier):
        raise NotErasable(
            "DESIRELINE_SECRET is not the one that the stored people were made with: set the workers' one"
        )
