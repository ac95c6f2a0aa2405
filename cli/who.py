"""Whom does a user of the commands mean? Any identifier will do, and any id that the person has or had."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import typer

from cli.output import fail
from people import find

if TYPE_CHECKING:
    from schemas.identity import Kinds
    from sinks.reader import Reader


def person(reader: Reader, id: str, kinds: Kinds) -> UUID:
    """The one person that `id` names, by the present id, or the end of the command. Of a shared identifier what it is alone."""
    owners = find.find(reader, find.candidates(id, kinds))
    if len({owner.person for owner in owners}) > 1:
        which = ", ".join(owner.identifier for owner in owners)
        raise fail(f"{id} is more than one person's; say which: {which}")
    if owners:
        return owners[0].person
    given = find.as_person(id)
    if given is None:
        raise unknown(reader, id, kinds)
    return find.present(reader, given)


def unknown(reader: Reader, id: str, kinds: Kinds) -> typer.Exit:
    """Nobody is known by this: who is similar?"""
    near = find.similar(reader, id, kinds)
    return fail(f"nobody is known as {id}" + (f"; did you mean {', '.join(near)}?" if near else ""))
