"""`desireline status`: what of the local stack runs."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from cli.output import fail, local_stack, out

if TYPE_CHECKING:
    from deploy.local.state import ProcessState


def status(
    env: Annotated[
        bool, typer.Option("--env", help='Print the addresses for a shell: eval "$(desireline status --env)".')
    ] = False,
) -> None:
    """Show each process of the local stack; exit code 1 if something is not running."""
    with local_stack():
        from deploy.local import instance
        from deploy.local.state import load
        from runtime.settings import ProcessSettings

        home = ProcessSettings().home.resolve()
        state = load(home)
        if not instance.is_running(home):
            raise fail(f"no stack runs in {home}: start it with `desireline up`")
        if env:
            for name, value in state.environment.items():
                typer.echo(f"export {name}={shlex.quote(value)}")
            return
        table = Table("process", "pid", "state", "restarts", "memory", "since", "port", "version")
        for process in state.processes:
            table.add_row(*_cells(process))
        out.print(table)
        for process in state.processes:
            if process.problem:
                out.print(f"{process.name} {process.problem}", style="red", markup=False)
        if not state.settled:
            raise typer.Exit(1)


def _cells(process: ProcessState) -> list[str]:
    alive = process.identity.process() if process.identity else None
    return [
        process.name,
        str(alive.pid) if alive else "",
        process.status,
        str(process.restarts),
        f"{alive.memory_info().rss >> 20} MB" if alive else "",
        _duration(time.time() - process.since) if process.since else "",
        str(process.port or ""),
        process.version,
    ]


def _duration(seconds: float) -> str:
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    if minutes < 1:
        return f"{seconds:.0f} s"
    if hours < 1:
        return f"{minutes:.0f} min"
    return f"{hours:.1f} h" if days < 1 else f"{days:.1f} d"
