"""`desireline ledger`: what became of everything that was sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from cli import text
from cli.common import moment, reading
from cli.output import fail, out

if TYPE_CHECKING:
    from sinks.reader import Reader

COUNTS = ("sent", "stored", "superseded", "late", "duplicate", "rejected", "erased", "missing")
HOUR_MS = 3_600_000
_HOURS = f"""
SELECT source, toInt64(toUnixTimestamp(hour)) * 1000 AS began, {", ".join(COUNTS)} FROM v_ledger
WHERE began >= {{since:Int64}} AND ({{source:String}} = '' OR source = {{source:String}})
ORDER BY began, source
"""  # noqa: S608 - constants of this module


class Counts(NamedTuple):
    """How many touchpoints; `sent` is the sum of the others."""

    sent: int = 0
    stored: int = 0
    superseded: int = 0
    late: int = 0
    duplicate: int = 0
    rejected: int = 0
    erased: int = 0
    missing: int = 0


class Hour(NamedTuple):
    """What arrived from a source in an hour, which began at `began` (ms UTC)."""

    source: str
    began: int
    counts: Counts


def ledger(
    source: Annotated[str | None, typer.Option(help="Only what this source sent.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only what arrived since, for example 2026-11-24T10:00:00Z.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Account for everything that was sent, per source and hour of arrival. Exit code 1 means that something is missing.

    sent = stored + superseded + late + duplicate + rejected + erased + missing. What is missing are gaps in the numbers
    (sequence, from 0) of a source's streams: sent, but never arrived, neither as a touchpoint nor as a dead letter.
    """
    start = 0 if since is None else moment("--since", since) // HOUR_MS * HOUR_MS
    with reading() as reader:
        hours = read(reader, start, source)
    if as_json:
        typer.echo(json.dumps(as_object(hours), ensure_ascii=False, indent=2))
    elif not hours:
        nothing = "nothing has arrived" + (f" from {source}" if source else "") + (f" since {since}" if since else "")
        out.print(nothing, markup=False)
    else:
        for line in table(hours):
            out.print(line, markup=False)
    if sentence := what_is_missing(hours):
        raise fail(sentence)


def read(reader: Reader, since: int, source: str | None) -> list[Hour]:
    """The hours since then (ms UTC), in their order."""
    rows = reader.ask(_HOURS, {"since": since, "source": source or ""}).rows
    return [Hour(source, began, Counts(*counts)) for source, began, *counts in rows]


def total(hours: Sequence[Hour]) -> Counts:
    """All of them together."""
    return Counts(*map(sum, zip(*(hour.counts for hour in hours), strict=True))) if hours else Counts()


def table(hours: Sequence[Hour]) -> list[str]:
    """A line for the heads, one for each hour and source, and one for all together."""
    rows = [["hour (UTC)", "source", *COUNTS]]
    for hour in hours:
        began = text.moment(hour.began)[:16].replace("T", " ")
        rows.append([began, text.plain(hour.source), *(f"{count:,}" for count in hour.counts)])
    rows.append(["total", "", *(f"{count:,}" for count in total(hours))])
    return text.columns(rows, right=range(2, 2 + len(COUNTS)))


def what_is_missing(hours: Sequence[Hour]) -> str:
    """One sentence: how many, whose, what it means and what to do; "" if nothing is."""
    of: dict[str, int] = {}
    for hour in hours:
        of[hour.source] = of.get(hour.source, 0) + hour.counts.missing
    whose = ", ".join(f"{text.plain(source)} {count:,}" for source, count in of.items() if count)
    if not whose:
        return ""
    count = sum(of.values())
    verb = "is" if count == 1 else "are"
    return (
        f"{text.many(count, 'touchpoint')} {verb} missing ({whose}): later numbers of the same streams have arrived, these "
        "neither as touchpoints nor as dead letters; let the source send again, what came already counts once"
    )


def as_object(hours: Sequence[Hour]) -> dict[str, object]:
    """For scripts; hours in RFC 3339."""
    rows = [{"source": hour.source, "hour": text.moment(hour.began), **hour.counts._asdict()} for hour in hours]
    return {"hours": rows, "total": total(hours)._asdict()}
