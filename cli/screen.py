"""The picture that `desireline watch` paints of one look: fits 80 × 24 and uses what there is beyond."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli import text
from cli.figures import StageFigures
from cli.funnel import rate_colour
from cli.live import Snapshot

LEAST_LIST = 4  # lines of the lists below the funnel that stay, however many stages there are
_AROUND = 8  # lines that are neither stages nor lists
_FIGURES_WIDTH = 53  # columns of the funnel beside names and bars
_STATUS_COLOUR = {"running": "green", "done": "green", "starting": "yellow", "waiting": "yellow", "stopped": "red"}


def picture(now: Snapshot, width: int, height: int) -> Group:
    """The frame for a terminal of that size."""
    shown = now.stages[: max(1, height - _AROUND - LEAST_LIST)]
    left = max(LEAST_LIST, height - _AROUND - max(1, len(shown)))
    return Group(
        _title(now, width),
        *_vital_signs(now, width),
        _alert(now),
        _funnel(now, shown, width),
        Text(),
        _lists(now, left, width),
        _footer(now),
    )


def _line(*parts: str | tuple[str, str]) -> Text:
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


def _title(now: Snapshot, width: int) -> Text:
    clock = f"{datetime.fromtimestamp(now.at, UTC):%H:%M:%S} UTC"
    name = f"desireline  {now.definition}  {now.journeys:,} journeys"
    return _line((name.ljust(max(0, width - len(clock)))[: width - len(clock)], "bold reverse"), (clock, "reverse"))


def _vital_signs(now: Snapshot, width: int) -> list[Text]:
    graph = text.sparkline(now.rates, min(len(now.rates), max(0, width - 55)))
    rate = f"{now.rate:,.1f} a second"
    speed = _line(("touchpoints  ", "dim"), (rate.ljust(18), "bold"), (graph, "cyan"), f" {now.accepted:,} accepted")
    spent = f"p50 {now.latency[0]:.2f} s  p99 {now.latency[1]:.2f} s" if now.latency else "–"
    latency = _line(("latency      ", "dim"), (spent, "bold"), ("  from arrival to the journey's row", "dim"))
    behind = "  ".join(f"{leg} {records:,}" for leg, records in now.lags.items()) or "–"
    refused = f"{now.refused.total:,} refused"
    if now.refused.recent:
        refused += f" ({now.refused.recent:,} in 10 min, most: {now.refused.reason})"
    lag = _line(("behind       ", "dim"), f"{behind} records  ", (refused, "red" if now.refused.recent else "dim"))
    return [speed, latency, lag]


def _alert(now: Snapshot) -> Text:
    """The gravest alert that is open, in a line that is empty while there is none."""
    if not now.alerts:
        return Text()
    one = now.alerts[0]
    does = "drop off" if one.measure == "drop_off" else "move on in time"
    more = f"; {len(now.alerts) - 1} more" if len(now.alerts) > 1 else ""
    since = f"{datetime.fromtimestamp(one.since / 1000, UTC):%H:%M}"
    return _line(
        (f"▲ {one.journey} · {one.stage} · {one.channel}: ", "bold red"),
        (f"{one.observed:.0%} {does}, usually {one.expected:.0%}; {one.lost:,.0f} lost since {since}{more}", "red"),
    )


def _funnel(now: Snapshot, shown: Sequence[StageFigures], width: int) -> RenderableType:
    if not now.stages:
        return Text("waiting for the sink to say which stages there are …", "dim")
    names = max(len("stage"), *(len(stage.name) for stage in shown))
    bars = max(0, width - _FIGURES_WIDTH - names)
    rows = Table.grid(padding=(0, 1, 0, 0))
    for justify in ("left", "right", "left", "right", "right", "right", "right", "right"):
        rows.add_column(justify=justify, no_wrap=True)
    headings = ("stage", "entered", " " * bars, "moved on", "dropped off", "rate", "back", "open")
    rows.add_row(*(Text(heading, "dim") for heading in headings))
    largest = max(stage.entered for stage in now.stages)
    for stage in shown:
        rows.add_row(
            Text(stage.name, "bold"),
            f"{stage.entered:,}",
            Text(text.bar(stage.entered, largest, bars), "cyan"),
            f"{stage.moved_on:,}",
            f"{stage.dropped_off:,}",
            Text(text.percent(stage.dropped_off, stage.decided), rate_colour(stage)),
            f"{stage.recovered:,}",
            f"{stage.still_open:,}",
        )
    return rows


def _lists(now: Snapshot, lines: int, width: int) -> RenderableType:
    """Side by side: who fell silent last, and what follows what."""
    names = {stage.rank: stage.name for stage in now.stages}
    ages = [text.duration(round(now.at * 1000) - one.at, units=1) for one in now.drop_offs]
    oldest = max(map(len, ages[: lines - 1]), default=0)
    where = max((len(names.get(one.stage, "")) for one in now.drop_offs[: lines - 1]), default=0)
    left = [_line(("silent too long since", "dim"))] + [
        _line((age.rjust(oldest), "yellow"), f" {names.get(one.stage, '').ljust(where)} ", (_short(one.who), "bold"),
              f" {one.touchpoint} ({one.channel})")
        for age, one in zip(ages, now.drop_offs, strict=True)
    ]  # fmt: skip
    digits = max((len(f"{one.times:,}") for one in now.transitions[: lines - 1]), default=0)
    right = [_line(("what follows what, most often", "dim"))] + [
        _line((f"{one.times:,}".rjust(digits), "bold"), f" {one.touchpoint} → {one.next_touchpoint}")
        for one in now.transitions
    ]
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    grid.add_column(no_wrap=True, width=width * 3 // 5)
    grid.add_column(no_wrap=True)
    for row in range(lines):
        grid.add_row(left[row] if row < len(left) else "", right[row] if row < len(right) else "")
    return grid


def _short(who: str) -> str:
    """As short as `desireline journeys` still understands it."""
    return who.removeprefix("customer_id:")


def _footer(now: Snapshot) -> Text:
    if now.problems:
        return _line((now.problems[0], "bold red"))
    parts: list[str | tuple[str, str]] = []
    for process in now.processes:
        if process.status != "done":
            again = f" (restarted {process.restarts}×)" if process.restarts else ""
            sign = "●" if process.status == "running" else "○"
            colour = _STATUS_COLOUR.get(process.status, "red")
            named = process.name if process.status == "running" else f"{process.name} {process.status}"
            parts += [(f"{sign} ", colour), f"{named}{again}  "]
    return _line(*parts, ("Ctrl-C ends", "dim"))
