"""`desireline alerts`: what alerts there are, and which there would have been."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from pydantic import ValidationError

from cli import text
from cli.common import moment, now, period, reading, zone
from cli.output import fail, out

if TYPE_CHECKING:
    from alerts.settings import AlertSettings
    from schemas.alert import Alert
    from sinks.reader import Reader

app = typer.Typer(help="What is worse than usual for this hour, and since when.", no_args_is_help=True)


@app.callback()
def _alerts() -> None:
    """A group, though it may have one command."""


@app.command()
def backtest(
    start: Annotated[str, typer.Option("--from", help="First minute (ISO 8601), or how long ago, for example 4w.")],
    end: Annotated[
        str | None, typer.Option("--to", help="Last minute (ISO 8601), or how long ago.  [default: now]")
    ] = None,
    tz: Annotated[str, typer.Option(help="Time zone of the times shown.")] = "UTC",
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per line, as in the topic `alerts`.")
    ] = False,
) -> None:
    """Run alerts minute by minute over stored history: each that would have opened, widened or been resolved.

    It learns from the weeks before, as many as DESIRELINE_ALERTS_HISTORY, just as the alerts process does when it starts.
    """
    from alerts.counts import MINUTE_MS
    from alerts.live import stage_names
    from alerts.message import sentence

    settings, shown_in = alert_settings(), zone(tz)
    first, last = _at("--from", start) // MINUTE_MS, (now() if end is None else _at("--to", end)) // MINUTE_MS - 1
    if first > last:
        raise fail(f"--from {start!r} is not before --to {end or 'now'!r}")
    opened = 0
    with reading() as reader:
        names = stage_names(reader)
        for told in _said(reader, first, last, settings):
            opened += told.change == "opened"
            alert = msgspec.structs.replace(told, stage_name=names.get((told.journey, told.stage), ""))
            if as_json:
                typer.echo(msgspec.json.encode(alert))
                continue
            at = datetime.fromtimestamp(alert.version / 1000, shown_in).isoformat(" ", "minutes")
            out.print(f"{at}  {alert.change:<8}  {sentence(alert)}", markup=False)
    if not as_json:
        out.print(f"{text.many(opened, 'alert')} in {text.duration((last - first + 1) * MINUTE_MS)}", markup=False)


def alert_settings() -> AlertSettings:
    """The settings; a mistake in the environment ends the command with one sentence."""
    from alerts.settings import AlertSettings

    try:
        return AlertSettings()
    except ValidationError as error:
        raise fail("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())) from error


def _said(reader: Reader, first: int, last: int, settings: AlertSettings) -> Iterator[Alert]:
    from alerts.stored import learning_from, rules, walk
    from alerts.watch import State

    wanted = rules(reader, settings)
    if not wanted.patience:
        raise fail("no journey definition is known yet: the sink writes them when it starts; `desireline status`")
    for state, said in walk(reader, State(), learning_from(first, settings), last, wanted, settings):
        if state.minute >= first:
            yield from said


def _at(option: str, given: str) -> int:
    """A time, or how long ago → ms UTC."""
    return now() - period(option, given) if given[-1:] in "msdhw" else moment(option, given)
