"""`desireline worker`: the legs that stitch journeys, in the foreground."""

from __future__ import annotations

import typer


def worker(leg: str = typer.Option("", help="Run one leg alone: identity or stitch.")) -> None:
    """Run the processors (both legs) until Ctrl-C. Exit code 70 means: start me again."""
    if leg not in ("", "identity", "stitch"):
        raise typer.BadParameter(f"{leg!r} is not a leg; choose identity or stitch", param_hint="--leg")
    from processors.app import run  # Faust takes a second to import; other commands do not pay for it

    raise typer.Exit(run(leg or None))
