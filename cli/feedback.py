"""`desireline feedback`: detractors to call back and promoters to thank, with what led to their answer, and what was done."""

from __future__ import annotations

import json
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli import text
from cli.common import clickhouse_settings, now, period, reading, zone
from cli.identifiers import operator
from cli.output import fail, out

if TYPE_CHECKING:
    from sinks.follow_ups import FollowUp, State, Story

app = typer.Typer(
    help="Detractors to call back and promoters to thank: who, what led to it, who cares for it.", no_args_is_help=True
)
_WORDS = {"call_back": "call back", "thank": "thank"}
Answer = Annotated[str, typer.Argument(metavar="ID", help="The answer's id, or how it begins, from `list`.")]
By = Annotated[str, typer.Option(help="Who does it.  [default: your login name]")]


@app.command(name="list")
def list_(
    wanted: Annotated[
        Literal["call_back", "thank"] | None, typer.Option(help="Only detractors, or only promoters.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Those that are done too.")] = False,
    since: Annotated[str, typer.Option(help="Only answers given within this time.")] = "30d",
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 20,
    tz: Annotated[str, typer.Option(help="Time zone of the times shown.")] = "UTC",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line, times in UTC.")] = False,
) -> None:
    """List detractors (NPS 0–6) to call back and promoters (9–10) to thank: who, about what, and the steps that led to it."""
    from sinks.follow_ups import follow_ups, stories

    shown_in, start = zone(tz), now() - period("--since", since)
    states: list[State] = [] if every else ["open", "taken"]
    with reading() as reader:
        found = follow_ups(reader, states, wanted=wanted or "", since=start, most=limit)
        told = stories(reader, [(one.event_id, one.person_id, one.answered_at, one.score) for one in found])
    if as_json:
        for one in found:
            typer.echo(json.dumps(_object(one, told[one.event_id]), ensure_ascii=False))
        return
    for one in found:
        for line in _lines(one, told[one.event_id], shown_in):
            out.print(line, markup=False)
    if not found:
        out.print(f"nobody to call back or to thank within {since}", markup=False)


@app.command()
def take(id: Answer, by: By = "") -> None:
    """Say that you care for it, so that nobody else does it too. `release` gives it back."""
    _change(id, "taken", by, ("open",))


@app.command()
def done(id: Answer, by: By = "") -> None:
    """Say that they were called, or thanked."""
    _change(id, "done", by, ("open", "taken"))


@app.command()
def release(id: Answer, by: By = "") -> None:
    """Open it again, for somebody else to take."""
    _change(id, "open", by, ("taken", "done"))


def _change(id: str, state: State, by: str, only: tuple[str, ...]) -> None:
    from sinks.follow_ups import Faster, change, follow_ups
    from sinks.reader import connect

    who = text.plain(by) or operator()
    with reading() as reader:
        found = follow_ups(reader, most=2, id=id.strip().lower())
        if len(found) != 1:
            raise fail(
                f"{id!r} begins several answers: write more of it" if found else
                f"no detractor or promoter has an answer {id!r}: `desireline feedback list` shows them"
            )  # fmt: skip
        (one,) = found
        if one.state not in only:
            raise fail(_refusal(one))
        with connect(clickhouse_settings()) as client:
            try:
                change(client, one, state, who)
            except Faster as error:
                raise fail(str(error)) from error
    out.print(f"{str(one.event_id)[:8]}  {_WORDS[one.wanted]}  {state}{f' by {who}' if who else ''}", markup=False)


def _refusal(one: FollowUp) -> str:
    if one.state == "open":
        return "it is open already"
    whose = f" by {one.by}" if one.by else ""
    return f"it is {one.state}{whose} since {text.moment(one.since)}: `desireline feedback release` opens it again"


def _lines(one: FollowUp, story: Story, shown_in: tzinfo) -> list[str]:
    answered = datetime.fromtimestamp(one.answered_at / 1000, shown_in)
    state = one.state + (f" by {one.by}" if one.by else "")
    about = f"about {story.channel} {story.touchpoint}" if story.touchpoint else ""
    head = f"{str(one.event_id)[:8]}  {answered:%a %d %b %H:%M}  {_WORDS[one.wanted]:<9}  nps {one.score:<2}  {state}"
    lines = [f"{head}  {story.who or one.person_id}  {about}".rstrip()]
    if story.steps:
        did = " → ".join(f"{step.channel} {step.touchpoint}" for step in story.steps)
        lines.append(f"          {text.plain(did)}")
    if story.text:
        lines.append(f"          “{text.plain(story.text)}”")
    return lines


def _object(one: FollowUp, story: Story) -> dict[str, Any]:
    return {
        "event_id": str(one.event_id),
        "person_id": str(one.person_id),
        "identifier": story.who or None,
        "wanted": one.wanted,
        "nps": one.score,
        "answered_at": text.moment(one.answered_at),
        "state": one.state,
        "by": one.by or None,
        "since": text.moment(one.since) if one.since else None,
        "about": {"channel": story.channel, "touchpoint": story.touchpoint} if story.touchpoint else None,
        "text": story.text or None,
        "did": [
            {"at": text.moment(step.at), "channel": step.channel, "touchpoint": step.touchpoint} for step in story.steps
        ],
    }
