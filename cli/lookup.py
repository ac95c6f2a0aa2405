"""`desireline lookup`: what is this customer in the middle of?"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from cli import text, who
from cli.common import now, reading
from cli.identifiers import configured
from cli.journeys import definitions, lived
from cli.output import out
from cli.story import STATUS
from people import objects
from people.life import Told, Touchpoint
from people.now import Now


def lookup(
    id: Annotated[
        str, typer.Argument(metavar="ID", help="Any identifier: customer_id:42, 42, an e-mail address, a person's id.")
    ],
    touchpoints: Annotated[int, typer.Option(min=0, max=100, help="How many of the last touchpoints.")] = 10,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object, as POST /v1/people/lookup gives it.")
    ] = False,
) -> None:
    """Show what a customer is in the middle of: open journeys, stage, last touchpoints, feedback, next deadline."""
    configured_definitions, kinds = definitions(), configured()
    as_of = now()
    with reading() as reader:
        life = lived(reader, who.person(reader, id, kinds), configured_definitions, kinds, as_of)
        if not life.touchpoints:
            raise who.unknown(reader, id, kinds)
    found = Now(life, configured_definitions, as_of, touchpoints)
    if as_json:
        typer.echo(json.dumps(objects.now(found), ensure_ascii=False, indent=2))
        return
    for line in lines(found):
        out.print(line, markup=False)


def lines(found: Now) -> list[str]:
    """All of it, section by section; those with nothing in them are left out."""
    life = found.life
    said = [
        "  ·  ".join(map(text.plain, life.identifiers)) or f"person {life.person}",
        f"person {life.person}: {text.many(len(life.touchpoints), 'touchpoint')}; times in UTC",
    ]
    sections = {
        "open journeys": [_journey(told, found.as_of) for told in found.open],
        "last touchpoints": [_touchpoint(one, found) for one in found.last],
        "feedback": [_feedback(one) for one in found.feedback],
    }
    for name, rows in sections.items():
        if rows:
            said += ["", name, *(f"  {line}" for line in text.columns(rows))]
    return said


def _journey(told: Told, as_of: int) -> list[str]:
    journey = told.journey
    sign, _, status = STATUS[journey.status]
    if journey.status == "dropped_off":
        deadline = f"dropped off on {_when(journey.due_at)}"
    else:
        deadline = f"drops off on {_when(journey.due_at)}, in {text.duration(journey.due_at - as_of)}"
    return [
        journey.definition,
        f"{sign} {status}",
        told.stage_name(journey.stage) or "no stage yet",
        f"silent for {text.duration(as_of - journey.last_at)}",
        deadline,
    ]


def _touchpoint(one: Touchpoint, found: Now) -> list[str]:
    stages = ", ".join(f"{definition}: {stage}" for definition, stage in found.stages(one).items())
    money = text.money(one.amount, one.currency) if one.currency else ""
    return [_when(one.at), text.plain(one.channel), text.plain(one.name), stages, money]


def _feedback(one: Touchpoint) -> list[str]:
    score = f"{one.feedback} {one.score}" if one.score >= 0 else one.feedback
    return [_when(one.at), score, one.sentiment, text.plain(one.name), f"“{text.plain(one.text)}”" if one.text else ""]


def _when(ms: int) -> str:
    return text.moment(ms)[:19].replace("T", " ")
