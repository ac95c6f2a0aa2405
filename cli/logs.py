"""`desireline logs`: what the processes of the local stack have written."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import IO, Annotated

import typer

from cli.output import fail, local_stack


def logs(
    name: Annotated[str | None, typer.Argument(help="One process, as `desireline status` names it.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written from now on.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Lines of each to begin with.")] = 20,
) -> None:
    """Show the last log lines of one process, or of all."""
    with local_stack():
        from deploy.local.logs import tail
        from runtime.settings import ProcessSettings

        folder = ProcessSettings().home.resolve() / "logs"
        known = sorted(folder.glob("*.log"))
        chosen = [log for log in known if name in (None, log.stem)]
        if not chosen:
            names = ", ".join(log.stem for log in known) or "none yet"
            raise fail(f"no logs of {name or 'anything'} in {folder} (there are: {names})")
        starts = {log: log.stat().st_size for log in chosen}
        for log in chosen:
            for line in tail(log, lines).splitlines():
                _show(log, line, chosen)
        if follow:
            _follow(starts)


def _follow(starts: dict[Path, int]) -> None:
    """Print what is appended, from these sizes on, until Ctrl-C; a log that was rotated is read from its beginning."""
    chosen = list(starts)
    files: dict[Path, IO[str]] = {}
    try:
        for log, start in starts.items():
            files[log] = log.open(errors="replace")
            files[log].seek(start)
        while True:
            for log, file in files.items():
                for line in file:
                    _show(log, line.rstrip("\n"), chosen)
                if log.exists() and log.stat().st_ino != os.fstat(file.fileno()).st_ino:
                    file.close()
                    files[log] = log.open(errors="replace")
            time.sleep(0.2)
    finally:
        for file in files.values():
            file.close()


def _show(log: Path, line: str, chosen: list[Path]) -> None:
    typer.echo(f"{log.stem:<11}| {line}" if len(chosen) > 1 else line)
