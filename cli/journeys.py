"""`desireline journeys`: a day in the life of one customer."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console

from cli import life, story, who
from cli.common import now, reading, zone
from cli.identifiers import configured
from cli.output import fail
from processors.settings import WorkerSettings
from schemas.definition import Definition, DefinitionsError, load_definitions


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
        person = who.person(reader, id, kinds)
        try:
            found = life.read(reader, person, definitions, kinds, as_of)
        except life.OtherDefinitions as error:
            raise fail(
                f"{error}, but other journeys are configured here: set DESIRELINE_DEFINITIONS to the worker's file"
            ) from error
        if not found.touchpoints:
            raise who.unknown(reader, id, kinds)
    if as_json:
        typer.echo(json.dumps(story.as_object(found), ensure_ascii=False, indent=2))
    else:
        story.show(Console(highlight=False), found, as_of, shown_in)


def _definitions() -> tuple[Definition, ...]:
    try:
        return load_definitions(WorkerSettings().definitions)
    except DefinitionsError as error:
        raise fail(str(error)) from error
