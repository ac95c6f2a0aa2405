"""The `desireline` command: one file per command in this folder; this page lists them."""

from __future__ import annotations

import typer

app = typer.Typer(
    name="desireline",
    help="Customer journeys as they happen: from touchpoints to drop-off.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    app()
