"""`desireline experience`: how it felt, by touchpoint, stage, channel or segment, each figure with its interval."""

from __future__ import annotations

import json
from typing import Annotated, Literal, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from cli.common import now, period, reading
from cli.funnel import choose
from cli.output import fail
from schemas.statistics import Effort, Interval, effort, mean_interval, nps, nps_interval, wilson

By = Literal["touchpoint", "stage", "channel", "segment"]
_GROUPS = {
    "touchpoint": "concat(channel, ' ', touchpoint)",
    "stage": "toString(stage)",
    "channel": "channel",
    "segment": "segment",
}
_FIGURES = """
SELECT
    {group} AS what, count() AS answers, countIf(nps = 1), countIf(nps = 0), countIf(nps = -1), ifNull(sum(satisfied), 0),
    countIf(kind = 'csat'), ifNull(sum(easy), 0), ifNull(sumIf(score, kind = 'ces'), 0), countIf(kind = 'ces'),
    ifNull(sumIf(score, kind = 'stars'), 0), countIf(kind = 'stars'), count(feeling), ifNull(sum(feeling), 0),
    ifNull(sum(feeling * feeling), 0)
FROM v_feedback
WHERE definition = {{definition:String}} AND answered_at >= fromUnixTimestamp64Milli({{since:Int64}}, 'UTC')
GROUP BY what ORDER BY answers DESC, what
"""
_NAMES = "SELECT toString(stage), name FROM v_stages WHERE definition = {definition:String}"


class Felt(NamedTuple):
    """What the answers about one group say. `experience` is the mean feeling on -1 … +1."""

    what: str
    answers: int
    nps: float | None
    nps_interval: Interval | None
    nps_answers: int
    csat: Interval | None
    csat_answers: int
    ces: Effort | None
    ces_answers: int
    stars: float | None
    stars_answers: int
    experience: Interval | None


def experience(
    by: Annotated[By, typer.Option(help="What answers are counted by: that which they are about.")] = "touchpoint",
    definition: Annotated[
        str | None, typer.Option(help="Which journey of journeys.yaml.  [default: the one with most journeys]")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only answers given within this time, for example 7d.  [default: all]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show NPS, CSAT, CES, stars and the mean feeling of what customers answered, by the touchpoint that they mean.

    Intervals are of 95 %. What an answer is about is said by its source, or follows from what came before it; see v_feedback.
    """
    start = 0 if since is None else now() - period("--since", since)
    with reading() as reader:
        chosen = choose(reader, definition)
        rows = reader.ask(_FIGURES.format(group=_GROUPS[by]), {"definition": chosen, "since": start}).rows
        names = dict(reader.ask(_NAMES, {"definition": chosen}).rows) if by == "stage" else {}
    felt = [_felt(names.get(row[0], row[0]) if by == "stage" else row[0], *row[1:]) for row in rows]
    if as_json:
        typer.echo(json.dumps({"definition": chosen, "by": by, "groups": [_object(one) for one in felt]}, indent=2))
        return
    if not felt:
        raise fail(f"nobody has given feedback in a journey of {chosen}{f' within {since}' if since else ''} yet")
    Console(highlight=False).print(_table(chosen, by, felt))


def _felt(
    what: str, answers: int, promoters: int, passives: int, detractors: int, satisfied: int, csat: int, easy: int,
    ces_total: int, ces: int, stars_total: int, stars: int, feelings: int, feeling: float, squares: float,
) -> Felt:  # fmt: skip
    asked = promoters + passives + detractors
    return Felt(
        what, answers, nps(promoters, passives, detractors),
        nps_interval(promoters, passives, detractors) if asked else None, asked, wilson(satisfied, csat), csat,
        effort(easy, ces_total, ces), ces, stars_total / stars if stars else None, stars,
        mean_interval(feeling, squares, feelings),
    )  # fmt: skip


def _table(definition: str, by: str, felt: list[Felt]) -> Table:
    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    shown.add_column(definition, style="bold", header_style="bold")
    for name in ("answers", "NPS", "CSAT", "CES", "stars", "feeling"):
        shown.add_column(name, justify="right", no_wrap=True)
    for one in felt:
        shown.add_row(
            one.what or f"no {by}",
            f"{one.answers:,}",
            _points(one),
            _share(one.csat, one.csat_answers),
            _share(one.ces.easy, one.ces_answers) + f", {one.ces.mean:.1f}" if one.ces else "–",
            "–" if one.stars is None else f"{one.stars:.1f} of {one.stars_answers:,}",
            "–" if one.experience is None else _signed(one.experience),
        )
    return shown


def _points(one: Felt) -> str:
    if one.nps is None or one.nps_interval is None:
        return "–"
    return f"{one.nps:+.0f} \\[{one.nps_interval.low:+.0f}, {one.nps_interval.high:+.0f}] of {one.nps_answers:,}"


def _share(share: Interval | None, answers: int) -> str:
    return f"{share.estimate:.0%} \\[{share.low:.0%}, {share.high:.0%}] of {answers:,}" if share else "–"


def _signed(one: Interval) -> str:
    return f"{one.estimate:+.2f} \\[{one.low:+.2f}, {one.high:+.2f}]"


def _object(one: Felt) -> dict[str, object]:
    found: dict[str, object] = {"group": one.what, "answers": one.answers}
    if one.nps_interval:
        found["nps"] = {"score": one.nps, "adjusted": one.nps_interval._asdict(), "answers": one.nps_answers}
    if one.csat:
        found["csat"] = one.csat._asdict() | {"answers": one.csat_answers}
    if one.ces:
        found["ces"] = one.ces.easy._asdict() | {"mean": one.ces.mean, "answers": one.ces_answers}
    if one.stars is not None:
        found["stars"] = {"mean": one.stars, "answers": one.stars_answers}
    if one.experience:
        found["experience"] = one.experience._asdict()
    return found
