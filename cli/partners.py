"""Identifiers that may link too much, as ClickHouse knows them: the queries, and how the answer is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from cli import text
from schemas.identity import Kinds

if TYPE_CHECKING:
    from sinks.reader import Reader

MANY_IDENTIFIERS = 50
SHOWN_OF_EACH = 3

# Reads all touchpoints: who stands beside whom is said nowhere else.
_BESIDE = """
    SELECT
        carried, uniqExactIf(partner, notEmpty(partner)) AS partners, uniqExact(event_id) AS touchpoints
    FROM
    (
        SELECT
            event_id, arrayMap((kind, value) -> concat(kind, ':', value), mapKeys(identifiers), mapValues(identifiers)) AS all,
            arrayFilter(one -> has({strong:Array(String)}, substringIndex(one, ':', 1)), all) AS names
        FROM touchpoints FINAL
    )
    ARRAY JOIN all AS carried
    LEFT ARRAY JOIN arrayFilter(one -> one != carried, names) AS partner
"""
_SHARED = f"""
SELECT identifier, ifNull(partners, 0), ifNull(touchpoints, 0)
FROM (SELECT identifier FROM v_identities WHERE shared) AS those
LEFT JOIN
(
    {_BESIDE}
    WHERE carried IN (SELECT identifier FROM v_identities WHERE shared)
    GROUP BY carried
) AS beside ON identifier = carried
ORDER BY partners DESC, identifier LIMIT {{limit:UInt32}}
"""  # noqa: S608 - constants of this module
_LARGE = """
SELECT person_id, count() AS identifiers FROM v_identities
GROUP BY person_id HAVING identifiers > {many:UInt32} ORDER BY identifiers DESC, person_id LIMIT {limit:UInt32}
"""
_TOUCHPOINTS = """
SELECT person_id, count() FROM v_touchpoints WHERE person_id IN {people:Array(UUID)} GROUP BY person_id
"""
_WORST = f"""
SELECT person_id, carried, partners, touchpoints
FROM
(
    {_BESIDE}
    WHERE carried IN (SELECT identifier FROM v_identities WHERE person_id IN {{people:Array(UUID)}})
    GROUP BY carried
) AS beside
INNER JOIN (SELECT identifier, person_id FROM v_identities WHERE person_id IN {{people:Array(UUID)}}) AS those
    ON carried = identifier
ORDER BY partners DESC, touchpoints DESC, carried LIMIT {{each:UInt8}} BY person_id
"""  # noqa: S608 - constants of this module


class Seen(NamedTuple):
    """An identifier, how many different names stand beside it, and on how many touchpoints it stands."""

    identifier: str
    partners: int
    touchpoints: int


class Large(NamedTuple):
    """A customer with many identifiers, and those of them with most partners."""

    person: UUID
    identifiers: int
    touchpoints: int
    worst: tuple[Seen, ...]


def shared(reader: Reader, kinds: Kinds, limit: int) -> list[Seen]:
    """The shared identifiers, those with most partners first."""
    return [Seen(*row) for row in reader.ask(_SHARED, {"strong": list(kinds.strong), "limit": limit}).rows]


def large(reader: Reader, kinds: Kinds, limit: int, many: int = MANY_IDENTIFIERS) -> list[Large]:
    """The customers with more than `many` identifiers, those with most first."""
    found: list[tuple[UUID, int]] = reader.ask(_LARGE, {"many": many, "limit": limit}).rows
    if not found:
        return []
    people = [str(person) for person, _ in found]
    touchpoints = dict(reader.ask(_TOUCHPOINTS, {"people": people}).rows)
    worst: dict[UUID, list[Seen]] = {}
    for person, *seen in reader.ask(
        _WORST, {"people": people, "strong": list(kinds.strong), "each": SHOWN_OF_EACH}
    ).rows:
        worst.setdefault(person, []).append(Seen(*seen))
    return [Large(person, count, touchpoints.get(person, 0), tuple(worst.get(person, ()))) for person, count in found]


def lines(shared: Sequence[Seen], large: Sequence[Large], max_links: int) -> list[str]:
    """For people."""
    found: list[str] = []
    if shared:
        found.append("shared: they link and name nobody")
        rows = [["", "identifier", "partners", "touchpoints", "because"]]
        for seen in shared:
            because = f"more than {max_links} partners" if seen.partners > max_links else "blocked"
            rows.append(["", text.plain(seen.identifier), f"{seen.partners:,}", f"{seen.touchpoints:,}", because])
        found += text.columns(rows, right=(2, 3))
    for one in large:
        found.append(
            f"person {one.person}: {text.many(one.identifiers, 'identifier')}, {text.many(one.touchpoints, 'touchpoint')}"
        )
        rows = [["", "most linked", "partners", "touchpoints"]]
        rows += [["", text.plain(s.identifier), f"{s.partners:,}", f"{s.touchpoints:,}"] for s in one.worst]
        found += text.columns(rows, right=(2, 3))
    return found or [f"nothing to review: no shared identifier, no customer with more than {MANY_IDENTIFIERS}"]


def as_object(shared: Sequence[Seen], large: Sequence[Large]) -> dict[str, object]:
    """For scripts."""
    return {
        "shared": [seen._asdict() for seen in shared],
        "people": [
            {
                "person_id": str(one.person),
                "identifiers": one.identifiers,
                "touchpoints": one.touchpoints,
                "most_linked": [seen._asdict() for seen in one.worst],
            }
            for one in large
        ],
    }
