"""Whom does somebody mean? By any identifier, however it is spelt; none of them comes into the text of a query."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple
from uuid import UUID

from schemas.identity import DEFAULT_KINDS, Kinds, normalise
from sinks.reader import Given

if TYPE_CHECKING:
    from sinks.reader import Reader

SUGGESTIONS = 5
MAX_TYPOS = 2
UNKNOWN = "nobody is known by this identifier: it was never sent, or who had it was erased"
LONGEST = 300  # characters of an identifier that are compared

_OWNERS = """
SELECT identifier, person_id, own_id, shared FROM identities FINAL
WHERE generation = (SELECT generation FROM live_generation) AND identifier IN (SELECT value FROM given)
ORDER BY identifier
"""
_HAS_TOUCHPOINTS = "SELECT 1 FROM v_touchpoints WHERE person_id = {person:UUID} LIMIT 1"
_PRESENT_ID = "SELECT person_id FROM v_person_aliases WHERE old_person_id = {person:UUID}"
_SIMILAR = """
WITH (SELECT any(value) FROM given) AS text
SELECT identifier FROM
(
    SELECT DISTINCT identifier, substring(substring(identifier, position(identifier, ':') + 1), 1, {longest:UInt16}) AS value,
        editDistance(value, text) AS typos
    FROM v_identities
)
WHERE typos <= {most:UInt8} OR positionCaseInsensitiveUTF8(value, text) > 0
ORDER BY typos, identifier LIMIT {limit:UInt8}
"""

By = Literal["name", "last_seen_on", "device", "person_id"]


class Owner(NamedTuple):
    """Whose an identifier is; `own` is the person that it would be by itself."""

    identifier: str
    person: UUID
    own: UUID
    shared: bool


class Found(NamedTuple):
    """The one person that is meant, by what: a name of theirs, a device that they were named on last, a device on which
    nobody was named, or their id."""

    person: UUID
    identifier: str
    by: By


class Refused(NamedTuple):
    """Nobody in particular is meant: `reason`, and a sentence that says what helps."""

    reason: Literal["unknown", "shared", "ambiguous"]
    message: str


def candidates(text: str, kinds: Kinds = DEFAULT_KINDS) -> list[str]:
    """The identifiers that may be meant: `kind:value` with a configured kind, else the value of any kind."""
    kind, colon, value = text.strip().partition(":")
    if colon and kind in kinds.names:
        value = normalise(kind, value, kinds)
        return [f"{kind}:{value}"] if value else []
    found = {kind: normalise(kind, text, kinds) for kind in kinds.names}
    return [f"{kind}:{value}" for kind, value in found.items() if value and value != "+"]


def as_person(text: str) -> UUID | None:
    """The person's own id, if the text is one."""
    try:
        return UUID(text.strip())
    except ValueError:
        return None


def meant(text: str, owners: Iterable[Owner], kinds: Kinds = DEFAULT_KINDS) -> Found | Refused:
    """Who is meant by `text`, where `owners` are those of its candidates that are known. Pure."""
    known = list(owners)
    named = [one for one in known if not one.shared]
    if len({one.person for one in named}) > 1:
        which = ", ".join(one.identifier for one in named)
        return Refused("ambiguous", f"this is more than one person's; say which: {which}")
    if named:
        best = min(named, key=lambda one: kinds.rank(one.identifier))
        return Found(best.person, best.identifier, _by(best, kinds))
    if known:
        return Refused("shared", "many share this identifier, so it names nobody: use another one of the customer's")
    person = as_person(text)
    if person is not None:
        return Found(person, "", "person_id")
    return Refused("unknown", UNKNOWN)


def _by(owner: Owner, kinds: Kinds) -> By:
    if owner.identifier.partition(":")[0] in kinds.strong:
        return "name"
    return "device" if owner.person == owner.own else "last_seen_on"


# --- asking ClickHouse ------------------------------------------------------------------------------------------------


def find(reader: Reader, identifiers: Sequence[str]) -> list[Owner]:
    """Whose these are, of those that are known, by identifier."""
    if not identifiers:
        return []
    return [Owner(*row) for row in reader.ask(_OWNERS, given=[Given("given", "String", identifiers)]).rows]


def present(reader: Reader, person: UUID) -> UUID:
    """The id that a person has now; the same if it is no former one. Reads all former ids if nobody has this one."""
    if reader.ask(_HAS_TOUCHPOINTS, {"person": person}).rows:
        return person
    return next((now for (now,) in reader.ask(_PRESENT_ID, {"person": person}).rows), person)


def similar(reader: Reader, text: str, kinds: Kinds = DEFAULT_KINDS) -> list[str]:
    """Known identifiers with a similar value, the closest first. Reads all of them: only for a failed search."""
    value = text.strip()[:LONGEST]
    if value.partition(":")[0] in kinds.names:
        value = value.partition(":")[2]
    if not value:
        return []
    asked = {"most": MAX_TYPOS, "limit": SUGGESTIONS, "longest": LONGEST}
    return [identifier for (identifier,) in reader.ask(_SIMILAR, asked, given=[Given("given", "String", [value])]).rows]
