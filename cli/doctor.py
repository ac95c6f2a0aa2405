"""`desireline doctor`: what is wrong, and what helps."""

from __future__ import annotations

import typer

from cli.output import local_stack, out


def doctor() -> None:
    """Look at servers, topics, tables, clocks and disk; one line each, and exit code 1 when something is wrong."""
    with local_stack():
        from deploy.doctor import examine
        from processors.settings import WorkerSettings
        from runtime.settings import ClickHouseSettings

        kafka = WorkerSettings()
        problems = 0
        for finding in examine(kafka.home.resolve(), kafka, ClickHouseSettings(), kafka.generation):
            problems += finding.is_problem
            out.print("[red]problem[/red]" if finding.is_problem else "[green]ok[/green]     ", end=" ")
            out.print(f"{finding.text}: {finding.help}" if finding.help else finding.text, markup=False)
        if problems:
            raise typer.Exit(1)
