"""Whom does a user of the commands mean? Any identifier will do, and any id that the person has or had."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import typer

from cli import life
from cli.output import fail

if TYPE_CHECKING:
    from schemas.identity import Kinds
    from sinks.reader import Reader

_HAS_TOUCHPOINTS = "SELECT 1 FROM v_touchpoints WHERE person_id = {person:UUID} LIMIT 1"
_PRESENT_ID = "SELECT person_id FROM v_person_aliases WHERE old_person_id = {person:UUID}"


def person(reader: Reader, id: str, kinds: Kinds) -> UUID:
    """The one person that `id` names, by the present id, or the end of the command."""
    people = life.find(reader, life.candidates(id, kinds))
    if len(set(people.values())) > 1:
        raise fail(f"{id} is more than one person's; say which: {', '.join(people)}")
    found = next(iter(people.values()), None)
    if found is not None:
        return found
    given = life.as_person(id)
    if given is None:
        raise unknown(reader, id, kinds)
    return present(reader, given)


def present(reader: Reader, person: UUID) -> UUID:
    """The id that a person has now; the same if it is no former one. Reads all former ids if nobody has this one."""
    if reader.ask(_HAS_TOUCHPOINTS, {"person": person}).rows:
        return person
    return next((now for (now,) in reader.ask(_PRESENT_ID, {"person": person}).rows), person)


def unknown(reader: Reader, id: str, kinds: Kinds) -> typer.Exit:
    """Nobody is known by this: who is similar?"""
    near = life.similar(reader, id, kinds)
    return fail(f"nobody is known as {id}" + (f"; did you mean {', '.join(near)}?" if near else ""))
