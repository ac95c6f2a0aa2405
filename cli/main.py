"""The `desireline` command: one file per command in this folder; this page lists them."""

from __future__ import annotations

import typer

from cli.down import down
from cli.logs import logs
from cli.status import status
from cli.up import up

app = typer.Typer(
    name="desireline",
    help="Customer journeys as they happen: from touchpoints to drop-off.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command()(up)
app.command()(down)
app.command()(status)
app.command()(logs)


def main() -> None:
    app()
