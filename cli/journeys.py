"""`desireline journeys`: a day in the life of one customer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer
from rich.console import Console

from cli import life, story, who
from cli.common import now, reading, zone
from cli.identifiers import configured
from cli.output import fail
from processors.settings import WorkerSettings
from schemas.definition import Definition, DefinitionsError, load_definitions
from schemas.identity import Kinds

if TYPE_CHECKING:
    from sinks.reader import Reader


def journeys(
    id: Annotated[
        str, typer.Argument(metavar="ID", help="Any identifier: customer_id:42, 42, an e-mail address, a person's id.")
    ],
    tz: Annotated[str, typer.Option("--tz", help="Time zone of the times shown.")] = "UTC",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, times in UTC.")] = False,
) -> None:
    """Tell one customer's journeys, touchpoint by touchpoint: when, where, what, how it felt, and where she fell silent."""
    shown_in = zone(tz)
    definitions, kinds = _definitions(), configured()
    as_of = now()
    with reading() as reader:
        person = _person(reader, id, kinds)
        try:
            found = life.read(reader, person, definitions, kinds, as_of)
        except life.OtherDefinitions as error:
            raise fail(
                f"{error}, but other journeys are configured here: set DESIRELINE_DEFINITIONS to the worker's file"
            ) from error
        if not found.touchpoints:
            raise who.unknown(reader, id)
    if as_json:
        typer.echo(json.dumps(story.as_object(found), ensure_ascii=False, indent=2))
    else:
        story.show(Console(highlight=False), found, as_of, shown_in)


def _person(reader: Reader, id: str, kinds: Kinds) -> UUID:
    """As `who.person`, which knows the kinds that ship with desireline, for the kinds that are configured."""
    people = life.find(reader, life.candidates(id, kinds))
    if len(set(people.values())) > 1:
        raise fail(f"{id} is more than one person's; say which: {', '.join(people)}")
    return next(iter(people.values()), None) or who.person(reader, id)


def _definitions() -> tuple[Definition, ...]:
    try:
        return load_definitions(WorkerSettings().definitions)
    except DefinitionsError as error:
        raise fail(str(error)) from error
