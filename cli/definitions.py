"""`desireline definitions`: the journeys that are told of, and what their rules match."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich.console import Console

from cli import text
from cli.common import clickhouse_settings, explain, now, period, reading
from cli.output import err, fail, out

if TYPE_CHECKING:
    from cli.matching import Seen
    from schemas.definition import Definition
    from sinks.reader import Reader

app = typer.Typer(help="The journeys that are told of: their stages, rules and patience.", no_args_is_help=True)
MOST = 100_000  # kinds of touchpoints that are looked at, the most frequent first


class Live(NamedTuple):
    """A journey of the live generation."""

    name: str
    version: int
    content: str  # its hash; empty where a release before stored it
    stages: list[str]
    goal: str
    journeys: int


@app.command(name="list")
def list_definitions() -> None:
    """List the journeys of the live generation: version, how many customers are or were on them, stages."""
    with reading() as reader:
        found = live_definitions(reader)
    if not found:
        raise fail("no journey definition is known yet: the sink writes them when it starts; `desireline status`")
    for one in found:
        named = [f"{stage} (goal)" if stage == one.goal else stage for stage in one.stages]
        out.print(f"{one.name}, version {one.version}: {text.many(one.journeys, 'journey')}", markup=False)
        out.print(f"    {' → '.join(named)}", markup=False)


@app.command()
def check(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A journeys.yaml.  [default: DESIRELINE_DEFINITIONS]")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Look at touchpoints since then only, for example 12h, 7d.  [default: all]")
    ] = None,
) -> None:
    """Check a file of journeys: every mistake with its line; else what each rule matches in the data, and what none does.

    Exit code 1 for a file that cannot be used. Without ClickHouse only the file is looked at.
    """
    from cli import matched
    from schemas.definition import DefinitionsError, load_definitions

    start = 0 if since is None else now() - period("--since", since)
    chosen = file or _configured()
    try:
        definitions = load_definitions(chosen)
    except DefinitionsError as error:
        lines = str(error).splitlines()
        raise fail(f"{text.many(len(lines), 'mistake')} in {chosen}\n{error}") from error
    out.print(f"{chosen}: {text.many(len(definitions), 'journey')}, no mistakes", markup=False)
    found = _stored(definitions, start)
    if found is None:
        return
    seen, live = found
    console = Console(highlight=False)
    for definition in definitions:
        console.print()
        out.print(matched.heading(definition), markup=False)
        console.print(matched.table(definition, seen, now()))
    console.print()
    for line in matched.summary(definitions, seen, since):
        out.print(line, markup=False)
    for line in matched.compared(definitions, live, chosen):
        out.print(line, markup=False)


def live_definitions(reader: Reader) -> list[Live]:
    """In the order of their file. Raises clickhouse_driver's errors."""
    from sinks.queries import query

    return [Live(*row) for row in reader.ask(query("live_definitions")).rows]


def seen_in(reader: Reader, definitions: Sequence[Definition], since: int) -> list[Seen]:
    """What is stored since then (ms UTC), as far as rules can tell it apart. Raises clickhouse_driver's errors."""
    from cli.matching import Seen, properties
    from sinks.queries import query

    keys = sorted(set().union(*(definition.properties_read for definition in definitions)))
    rows = reader.ask(query("definition_touchpoints"), {"keys": keys, "since": since, "most": MOST}).rows
    return [Seen(channel, name, properties(keys, read), count, last) for channel, name, read, count, last in rows]


def _stored(definitions: Sequence[Definition], since: int) -> tuple[list[Seen], list[Live]] | None:
    """None, and a word about it, where there is no ClickHouse to ask: a file can be checked without."""
    from clickhouse_driver.errors import Error

    from sinks.reader import reader

    settings = clickhouse_settings()
    try:
        with reader(settings) as one:
            return seen_in(one, definitions, since), live_definitions(one)
    except (Error, OSError, EOFError) as error:
        err.print(f"not compared with what is stored: {explain(error, settings)}", markup=False)
        return None


def _configured() -> Path:
    from processors.settings import WorkerSettings

    return WorkerSettings().definitions
