"""`desireline pain`: where it hurts, where the outcome is decided, and what a change did."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cli import text
from cli.alerts import alert_settings
from cli.common import moment, now, period, reading, zone
from cli.funnel import choose
from cli.output import fail, out

if TYPE_CHECKING:
    from schemas.statistics import Compared
    from sinks.pain.change import Change, Effect
    from sinks.pain.ranking import PainPoint
    from sinks.reader import Reader

app = typer.Typer(
    help="Where it hurts, where the outcome is decided, and whether a change helped.", no_args_is_help=True
)
Chosen = Annotated[
    str | None,
    typer.Option("--definition", help="Which journey of journeys.yaml.  [default: the one with most journeys]"),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]
WIDE = 110  # columns of a terminal, from which the table holds everything
_EVIDENCE = """
SELECT journey_id, person_id FROM v_pain_evidence
WHERE definition = {definition:String} AND channel = {channel:String} AND touchpoint = {touchpoint:String}
    AND at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
ORDER BY at DESC, journey_id LIMIT {most:UInt16}
"""
_MOMENTS = """
SELECT channel, touchpoint, journeys, conversion, decides, weight, best_next, best_conversion, falls_silent
FROM v_moments_of_truth WHERE definition = {definition:String} ORDER BY weight DESC, channel, touchpoint LIMIT {limit:UInt32}
"""
_COLUMNS = (
    "channel", "touchpoint", "journeys", "conversion", "decides", "weight", "best_next", "best_conversion", "falls_silent",
)  # fmt: skip


@app.command()
def points(
    definition: Chosen = None,
    since: Annotated[str, typer.Option(help="Journeys that began within this time.")] = "30d",
    limit: Annotated[int, typer.Option(min=1, help="At most so many touchpoints.")] = 15,
    evidence: Annotated[int, typer.Option(min=0, help="Journeys to show of each pain point, the newest.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Rank touchpoints by how much they hurt: severity × reach × what it costs.

    Each is compared with journeys that were at the same point and passed another touchpoint. A pain point (✗) is one after
    which more leave, or that is rated lower, beyond what chance does among so many. Shares: here / among comparable ones.
    """
    from sinks.pain.reading import pain_points

    at = now()
    start = at - period("--since", since)
    with reading() as reader:
        chosen = choose(reader, definition)
        found = pain_points(reader, chosen, start, at)[:limit]
        shown = {place: _evidence(reader, chosen, one, start, evidence) for place, one in enumerate(found) if one.hurts}
    if as_json:
        rows = [_object(place, one, shown.get(place, [])) for place, one in enumerate(found)]
        typer.echo(json.dumps({"definition": chosen, "since": text.moment(start), "points": rows}, indent=2))
        return
    if not found:
        raise fail(f"no journey of {chosen} began within {since}")
    console = Console(highlight=False)
    console.print(_table(chosen, found, console.width))
    for place, journeys in shown.items():
        if journeys:
            who = ", ".join(person for _, person in journeys)
            out.print(
                f"silent after {found[place].touchpoint}, for example (desireline journeys ID): {who}", markup=False
            )
    if not any(one.hurts for one in found):
        out.print("nothing hurts beyond what chance does among so many touchpoints", markup=False)


@app.command()
def moments(
    definition: Chosen = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many touchpoints.")] = 15,
    as_json: AsJson = False,
) -> None:
    """Show the moments of truth: after which touchpoint it is decided, more than elsewhere, whether the goal is reached."""
    with reading() as reader:
        chosen = choose(reader, definition)
        rows = reader.ask(_MOMENTS, {"definition": chosen, "limit": limit}).rows
    if as_json:
        objects = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
        typer.echo(json.dumps({"definition": chosen, "moments": objects}, indent=2))
        return
    if not rows:
        raise fail(
            f"of {chosen} nothing can be said yet: it needs a goal, and 30 decided journeys that passed a touchpoint"
        )
    table = _plain(chosen, "journeys", "reach goal", "decides", "weight", "falls silent", "best next")
    for channel, name, journeys, conversion, decides, weight, best, best_conversion, silent in rows:
        table.add_row(
            f"{channel} {name}", f"{journeys:,}", f"{conversion:.0%}", f"{decides:.0%}", f"{weight:.0%}", f"{silent:.0%}",
            f"{best or 'nothing'} ({best_conversion:.0%})",
        )  # fmt: skip
    Console(highlight=False).print(table)


@app.command()
def change(
    touchpoint: Annotated[str, typer.Argument(help="Name of the touchpoint that was changed.")],
    at: Annotated[str, typer.Option("--at", help="When it was changed, ISO 8601.")],
    channel: Annotated[str, typer.Option(help="Only in this channel.")] = "",
    definition: Chosen = None,
    weeks: Annotated[int, typer.Option(min=1, max=52, help="Look at so many before and after it, at most.")] = 4,
    tz: Annotated[
        str | None, typer.Option(help="Time zone of the hours of the week.  [default: DESIRELINE_TIMEZONE]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Did a change at a touchpoint help? Before and after it, in the same hours of the week, with an interval of 95 %.

    Elsewhere is what happened at other touchpoints of the same stage at that time: what is seen there too was not this change.
    """
    from sinks.pain.change import change as changed

    shown_in = zone(tz or alert_settings().timezone)
    when, current = moment("--at", at), now()
    if when >= current:
        raise fail(f"--at {at!r} is not past yet")
    with reading() as reader:
        chosen = choose(reader, definition)
        found = changed(reader, chosen, touchpoint, channel, when, weeks, shown_in.key, current)
    if as_json:
        sides = {name: _effect_object(one) for name, one in found._asdict().items()}
        typer.echo(
            json.dumps({"definition": chosen, "touchpoint": touchpoint, "at": text.moment(when)} | sides, indent=2)
        )
        return
    for line in _told(touchpoint, when, found):
        out.print(line, markup=False)


def _evidence(reader: Reader, definition: str, one: PainPoint, since: int, most: int) -> list[tuple[str, str]]:
    asked = {
        "definition": definition,
        "channel": one.channel,
        "touchpoint": one.touchpoint,
        "since": since,
        "most": most,
    }
    return [(str(journey), str(person)) for journey, person in reader.ask(_EVIDENCE, asked).rows] if most else []


def _plain(title: str, *columns: str) -> Table:
    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    shown.add_column(title, style="bold", header_style="bold", no_wrap=True)
    for name in columns:
        shown.add_column(
            name, justify="left" if name in ("best next", "more of") else "right", no_wrap=name != "more of"
        )
    return shown


def _table(definition: str, found: list[PainPoint], width: int) -> Table:
    wide = ("rated low", "more of", "severity") if width >= WIDE else ()
    table = _plain(f"  {definition}", "journeys", "drop-off", "difference", *wide, "cost")
    for one in found:
        cost = ", ".join(text.money(amount, currency) for currency, amount in one.cost.items() if amount)
        signs = ((name, getattr(one, name)) for name in ("repeats", "waits", "escalations"))
        more = " ".join(name for name, sign in signs if sign and sign.worse)
        table.add_row(
            f"{'[red]✗[/]' if one.hurts else ' '} {one.channel} {one.touchpoint}",
            f"{one.journeys:,}",
            _beside(one.drop_off, 1),
            _difference(one.drop_off),
            *((_beside(one.low_feedback, 0), more, f"{one.severity:.1%}") if wide else ()),
            cost or "–",
        )
    return table


def _difference(one: Compared | None) -> str:
    if one is None:
        return "–"
    told = f"{100 * one.estimate:+.1f} \\[{100 * one.low:+.1f}, {100 * one.high:+.1f}]"
    return f"[red]{told}[/]" if one.worse else told


def _beside(one: Compared | None, digits: int) -> str:
    """A share and that of what is comparable; in red where it is more, beyond chance."""
    if one is None:
        return "–"
    told = f"{one.share:.{digits}%} / {one.other_share:.{digits}%}"
    return f"[red]{told}[/]" if one.worse else told


def _object(place: int, one: PainPoint, evidence: list[tuple[str, str]]) -> dict[str, Any]:
    found: dict[str, Any] = one._asdict() | {"place": place + 1, "hurts": one.hurts, "cost": dict(one.cost)}
    for name in ("drop_off", "low_feedback", "repeats", "waits", "escalations"):
        found[name] = found[name]._asdict() if found[name] else None
    return found | {"evidence": [{"journey_id": journey, "person_id": person} for journey, person in evidence]}


def _told(touchpoint: str, when: int, found: Change) -> list[str]:
    lines = [f"{touchpoint}, before and after {datetime.fromtimestamp(when / 1000, UTC):%Y-%m-%d %H:%M} UTC"]
    for name, one in (
        ("drop-off", found.drop_off),
        ("low feedback", found.low_feedback),
        ("elsewhere", found.elsewhere),
    ):
        lines.append(f"  {name:<13} {_effect(one)}")
    return lines


def _effect(one: Effect) -> str:
    if one.compared is None:
        return f"not enough data: {one.before:,} before and {one.after:,} after it in hours of the week that both have"
    share = one.compared
    points = f"{100 * share.estimate:+.1f} points [{100 * share.low:+.1f}, {100 * share.high:+.1f}]"
    return f"{one.verdict}: {share.other_share:.1%} → {share.share:.1%}, {points}; {one.before:,} before, {one.after:,} after"


def _effect_object(one: Effect) -> dict[str, Any]:
    return one._asdict() | {"compared": one.compared._asdict() if one.compared else None}
