"""`desireline journeys`: a day in the life of one customer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer
from rich.console import Console

from cli import story, who
from cli.common import now, reading, zone
from cli.identifiers import configured
from cli.output import fail
from people import life, objects
from processors.settings import WorkerSettings
from schemas.definition import Definition, DefinitionsError, load_definitions

if TYPE_CHECKING:
    from schemas.identity import Kinds
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
    configured_definitions, kinds = definitions(), configured()
    as_of = now()
    with reading() as reader:
        found = lived(reader, who.person(reader, id, kinds), configured_definitions, kinds, as_of)
        if not found.touchpoints:
            raise who.unknown(reader, id, kinds)
    if as_json:
        typer.echo(json.dumps(objects.life(found), ensure_ascii=False, indent=2))
    else:
        story.show(Console(highlight=False), found, as_of, shown_in)


def definitions() -> tuple[Definition, ...]:
    """Those of DESIRELINE_DEFINITIONS. Ends the command if they cannot be read."""
    try:
        return load_definitions(WorkerSettings().definitions)
    except DefinitionsError as error:
        raise fail(str(error)) from error


def lived(reader: Reader, person: UUID, definitions: Sequence[Definition], kinds: Kinds, as_of: int) -> life.Life:
    """A person's life at `as_of` (ms UTC). Ends the command if other journeys are stored than these."""
    try:
        return life.read(reader, person, definitions, kinds, as_of)
    except life.OtherDefinitions as error:
        raise fail(str(error)) from error
