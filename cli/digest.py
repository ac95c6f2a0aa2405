"""`desireline digest`: one number for the content of a table."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.common import moment, now, reading
from cli.output import fail


def digest(
    table: Annotated[str, typer.Argument(help="touchpoints, person_touchpoints, identities, journeys or outcomes.")],
    as_of: Annotated[
        str | None,
        typer.Option(
            help="Statuses and outcomes as at this time, ISO 8601; to compare, give both the same.  [default: now]"
        ),
    ] = None,
) -> None:
    """Print a hash of a table's live rows: equal for equal content, however and how often it was written."""
    from sinks.digest import TABLES
    from sinks.digest import digest as digest_of

    if table not in TABLES:
        raise fail(f"no digest of {table!r}: choose one of {', '.join(TABLES)}")
    at = now() if as_of is None else moment("--as-of", as_of)
    with reading() as reader:
        typer.echo(digest_of(reader, table, at))
