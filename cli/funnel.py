"""`desireline funnel`: how far customers come, and where they leave."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from cli import figures, text
from cli.common import now, period, reading
from cli.figures import StageFigures
from cli.output import fail

if TYPE_CHECKING:
    from sinks.reader import Reader

FIGURES_WIDTH = 72  # columns of everything but the bars
LEAST_BAR, LARGEST_BAR = 6, 40


def funnel(
    definition: Annotated[
        str | None, typer.Option(help="Which journey of journeys.yaml.  [default: the one with most journeys]")
    ] = None,
    channel: Annotated[str, typer.Option(help="Only journeys that began in this channel.")] = "",
    since: Annotated[
        str | None, typer.Option(help="Only journeys that began within this time, for example 12h, 7d.  [default: all]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show per stage how many journeys entered it, moved on, dropped off, came back, or are still there.

    A drop-off is a silence longer than the stage's patience. The rate is of those that left the stage or fell silent there.
    """
    start = 0 if since is None else now() - period("--since", since)
    with reading() as reader:
        chosen = choose(reader, definition)
        stages = figures.funnel(reader, chosen, start, channel)
        stays = figures.median_stays(reader, chosen, start, channel)
    if as_json:
        typer.echo(json.dumps({"definition": chosen, "stages": [_object(stage, stays) for stage in stages]}, indent=2))
        return
    if not any(stage.entered for stage in stages):
        raise fail(
            f"no journey of {chosen} began "
            + (f"in {channel} " if channel else "")
            + (f"within {since}" if since else "yet")
        )
    console = Console(highlight=False)
    console.print(table(chosen, stages, stays, console.width))


def choose(reader: Reader, wanted: str | None) -> str:
    """The definition to show; ends the command where there is none."""
    known = figures.definitions(reader)
    if wanted is None and not known:
        raise fail("no journey definition is known yet: the sink writes them when it starts; `desireline status`")
    if wanted is not None and wanted not in known:
        raise fail(f"no journey is called {wanted!r}" + (f": choose {' or '.join(known)}" if known else ""))
    return wanted or next(iter(known))


def table(definition: str, stages: list[StageFigures], stays: dict[int, int], width: int) -> Table:
    """The funnel as it is printed on `width` columns; `stays` are median times in a stage, ms."""
    bars = min(LARGEST_BAR, width - FIGURES_WIDTH)
    shown = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    shown.add_column(definition, style="bold", header_style="bold", no_wrap=True)
    for name in ("entered", "", "moved on", "dropped", "rate", "back", "open", "median stay"):
        shown.add_column(name, justify="right" if name else "left", no_wrap=True)
    largest = max(stage.entered for stage in stages)
    for stage in stages:
        shown.add_row(
            stage.name,
            f"{stage.entered:,}",
            f"[cyan]{text.bar(stage.entered, largest, bars) if bars >= LEAST_BAR else ''}[/]",
            f"{stage.moved_on:,}",
            f"{stage.dropped_off:,}",
            f"[{rate_colour(stage)}]{text.percent(stage.dropped_off, stage.decided)}[/]",
            f"{stage.recovered:,}",
            f"{stage.still_open:,}",
            text.duration(stays[stage.rank]) if stage.rank in stays else "–",
        )
    return shown


def rate_colour(stage: StageFigures) -> str:
    """The worse, the redder."""
    rate = stage.dropped_off / stage.decided if stage.decided else 0
    return "red" if rate >= 0.2 else "yellow" if rate >= 0.1 else "default"


def _object(stage: StageFigures, stays: dict[int, int]) -> dict[str, object]:
    found: dict[str, object] = dict(stage._asdict())
    found["still_open"] = stage.still_open
    found["drop_off_rate"] = stage.dropped_off / stage.decided if stage.decided else None
    found["median_stay_seconds"] = stays[stage.rank] / 1000 if stage.rank in stays else None
    return found
