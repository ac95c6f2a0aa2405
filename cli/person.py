"""`desireline person`: who is this, and why do we think so?"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import typer

from cli import text, ties, who
from cli.common import reading
from cli.identifiers import configured
from cli.output import out
from cli.ties import Link, Move, Tie, Ties

EXAMPLES = 3
REASONS = {
    "late": "arrived after a touchpoint that follows them",
    "named": "somebody was named on their device",
    "merge": "two customers turned out to be one",
    "split": "one customer turned out to be several",
    "correction": "their source corrected or retracted them",
    "erasure": "they were erased on request",
}


def person(
    id: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="Any identifier (customer_id:42, 42, an e-mail address), or an id that they have or had."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, times in UTC.")] = False,
) -> None:
    """Show why a customer is one: identifiers, devices, the touchpoints that link them, what moved to or from them and why."""
    kinds = configured()
    with reading() as reader:
        found = ties.read(reader, who.person(reader, id, kinds), kinds)
        if not found.touchpoints and not found.moves:
            raise who.unknown(reader, id, kinds)
    if as_json:
        typer.echo(json.dumps(as_object(found), ensure_ascii=False, indent=2))
        return
    for line in lines(found):
        out.print(line, markup=False)


# --- for people -------------------------------------------------------------------------------------------------------


def lines(found: Ties) -> list[str]:
    """All of it, section by section; those with nothing in them are left out."""
    many = text.many(len(found.touchpoints), "touchpoint")
    if found.touchpoints:
        many += f", {_when(found.touchpoints[0].at)} to {_when(found.touchpoints[-1].at)}"
    head = [f"person {found.person}: {many}; times in UTC"]
    if found.former:
        head.append(f"had the ids {', '.join(map(str, found.former))} before")
    sections = {
        "identifiers": _ties(found.names, found.person),
        "devices": _ties(found.devices, found.person),
        "linked by": [_link(link) for link in found.links],
        "moved": _moves(found.moves, found.person),
        "restated": [
            [text.many(count, "touchpoint"), cause, REASONS.get(cause, "")] for cause, count in found.restated.items()
        ],
    }
    for name, rows in sections.items():
        if rows:
            head += ["", name, *(f"  {line}" for line in text.columns(rows))]
    return head


def _ties(some: Sequence[Tie], person: UUID) -> list[list[str]]:
    return [
        [
            text.plain(tie.identifier),
            "" if tie.since is None else f"since {_when(tie.since)}",
            f"on {text.many(tie.touchpoints, 'touchpoint')}",
            _whose(tie, person),
        ]
        for tie in some
    ]


def _whose(tie: Tie, person: UUID) -> str:
    if tie.shared:
        return "shared: links and names nobody"
    return "" if tie.owner in (None, person) else f"now of person {tie.owner}"


def _link(link: Link) -> list[str]:
    one = link.first
    return [
        " + ".join(map(text.plain, link.names)),
        f"on {text.many(link.touchpoints, 'touchpoint')}",
        f"first {_when(one.at)}, {text.plain(one.name)} from {text.plain(one.source)}, event {one.event}",
    ]


def _moves(moves: Sequence[Move], person: UUID) -> list[list[str]]:
    """A line for all that went the same way for the same cause."""
    ways: dict[tuple[str, str], list[Move]] = defaultdict(list)
    for move in moves:
        if move.person != person:
            way = f"from person {move.person}"
        else:
            way = "to nobody" if move.to is None else f"to person {move.to}"
        ways[way, move.cause].append(move)
    rows = []
    for (way, cause), some in ways.items():
        known = [f"{text.plain(move.name)} of {_when(move.occurred)}" for move in some if move.name]
        examples = ", ".join(known[:EXAMPLES]) + (", …" if len(known) > EXAMPLES else "")
        rows.append([text.many(len(some), "touchpoint"), way, cause, f"last {_when(some[-1].at)}", examples])
    return rows


def _when(ms: int) -> str:
    return text.moment(ms)[:19].replace("T", " ")


# --- for programs -----------------------------------------------------------------------------------------------------


def as_object(found: Ties) -> dict[str, Any]:
    """All of it as JSON values; times in RFC 3339."""
    return {
        "person_id": str(found.person),
        "former_person_ids": [str(old) for old in found.former],
        "touchpoints": len(found.touchpoints),
        "identifiers": [_tie(tie) for tie in found.names],
        "devices": [_tie(tie) for tie in found.devices],
        "links": [
            {
                "identifiers": list(link.names),
                "touchpoints": link.touchpoints,
                "event_id": str(link.first.event),
                "occurred_at": text.moment(link.first.at),
                "source": link.first.source,
            }
            for link in found.links
        ],
        "moves": [
            {
                "event_id": str(move.event),
                "person_id": str(move.person),
                "to_person_id": None if move.to is None else str(move.to),
                "cause": move.cause,
                "at": text.moment(move.at),
                "name": move.name or None,
                "occurred_at": text.moment(move.occurred) if move.name else None,
            }
            for move in found.moves
        ],
        "restated": found.restated,
    }


def _tie(tie: Tie) -> dict[str, Any]:
    return {
        "identifier": tie.identifier,
        "since": None if tie.since is None else text.moment(tie.since),
        "touchpoints": tie.touchpoints,
        "person_id": None if tie.owner is None else str(tie.owner),
        "shared": tie.shared,
    }
