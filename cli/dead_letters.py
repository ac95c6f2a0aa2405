"""`desireline dead-letters`: what was not accepted and why; `replay` sends it again once the cause is gone."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer

from cli import letters
from cli import replay as replaying
from cli.common import moment, reading
from cli.letters import SHOWN_DIGITS, Filter, Found, NotOne
from cli.output import fail, out
from cli.text import plain
from ingest.accept import Accepted
from ingest.rejected import Rejected
from ingest.replaying import NotReplayable, again
from schemas.dead_letter import MAX_KEPT_BYTES, REASONS, DeadLetter, Leg, Reason

app = typer.Typer(help="List and show what was not accepted, and send it again.", no_args_is_help=True)

ReasonOption = Annotated[Reason | None, typer.Option(help="Only those refused for this reason.")]
SourceOption = Annotated[str | None, typer.Option(help="Only those of this source.")]
LegOption = Annotated[Leg | None, typer.Option(help="Only those that this leg refused.")]
SinceOption = Annotated[str | None, typer.Option(help="Only those refused since, for example 2026-11-24T10:00:00Z.")]


def chosen(reason: str | None, source: str | None, leg: str | None, since: str | None) -> Filter:
    """The filter that the options mean. Ends the command for a time that is none."""
    return Filter(reason, source, leg, None if since is None else moment("--since", since))


@app.command(name="list")
def list_letters(
    reason: ReasonOption = None,
    source: SourceOption = None,
    leg: LegOption = None,
    since: SinceOption = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, the newest.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, without the records.")] = False,
) -> None:
    """List what was not accepted, the newest first: id, when, who sent it, who refused it, why, where, what to do.

    The last line counts all that the options select, by reason.
    """
    wanted = chosen(reason, source, leg, since)
    with reading() as reader:
        found = list(letters.newest(reader, wanted, limit))
        counts = {} if as_json else letters.counts(reader, wanted)
    if as_json:
        for one in found:
            typer.echo(json.dumps(as_object(one), ensure_ascii=False))
        return
    for line in lines(found):
        out.print(line, markup=False)
    out.print(summary(len(found), counts), markup=False)


@app.command()
def show(
    id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it, or its first digits.")],
) -> None:
    """Show one of them whole: the record as it came, what is wrong with it, and whether `replay` would help."""
    with reading() as reader:
        try:
            (found,) = letters.newest(reader, Filter(ids=letters.whole_ids(reader, [id])), 1)
        except NotOne as error:
            raise fail(str(error)) from error
    configured = replaying.settings()
    for line in story(found, again(found.letter, configured.sources.named, configured.kinds)):
        out.print(line, markup=False)


@app.command()
def replay(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Only these.")] = None,
    reason: ReasonOption = None,
    source: SourceOption = None,
    leg: LegOption = None,
    since: SinceOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many, the newest.  [default: all]")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Send nothing; say what would become of each, unless it is erased.")
    ] = False,
) -> None:
    """Send again what the options or ids select, once the cause is gone; without any: everything. Safe to repeat.

    The oldest goes first. A time without zone is read in the zone that DESIRELINE_WRITE_KEYS gives its source. Exit code 1
    means that some are refused still.
    """
    wanted = chosen(reason, source, leg, since)
    if ids and (wanted != Filter() or limit is not None):
        raise fail("give ids, or options that select, not both")
    configured = replaying.settings()
    with reading() as reader:
        try:
            wanted = replace(wanted, ids=letters.whole_ids(reader, ids or []))
        except NotOne as error:
            raise fail(str(error)) from error
        total = sum(letters.counts(reader, wanted).values())
        if not total:
            out.print("no dead letters")
            return
        total = total if limit is None else min(limit, total)
        found = letters.newest(reader, wanted, limit, oldest_first=True)
        report = replaying.replay(found, total, configured, dry_run=dry_run)
    out.print(report.totals(), markup=False)
    if report.still_refused:
        raise typer.Exit(1)


def when(ms: int) -> str:
    """ms UTC → ISO 8601, to the millisecond."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_object(found: Found) -> dict[str, object]:
    """A letter without its record, for scripts; `at` in ISO 8601."""
    letter = found.letter
    fields = ("source", "leg", "reason", "path", "message", "address", "bytes", "sha256")
    return {"id": found.id[:SHOWN_DIGITS], "at": when(letter.at)} | {name: getattr(letter, name) for name in fields}


def lines(found: list[Found]) -> list[str]:
    """A line each, in columns as wide as what stands in them; the message, of any length, comes last."""
    rows = [
        [one.id[:SHOWN_DIGITS], when(one.letter.at)]
        + [plain(text) for text in (one.letter.source, one.letter.leg, one.letter.reason, one.letter.path or "–")]
        + [plain(one.letter.address), plain(one.letter.message)]
        for one in found
    ]
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    return ["  ".join([*map(str.ljust, row[:-1], widths), row[-1]]) for row in rows]


def summary(shown: int, counts: dict[str, int]) -> str:
    """`2 of 17 dead letters: invalid 15, out_of_time 2`."""
    total = sum(counts.values())
    if not total:
        return "no dead letters"
    by_reason = ", ".join(f"{reason} {count:,}" for reason, count in counts.items())
    of = "" if shown == total else f"{shown:,} of "
    return f"{of}{total:,} dead letter{'' if total == 1 else 's'}: {by_reason}"


def story(found: Found, now: Accepted | Rejected | NotReplayable) -> list[str]:
    """Everything about one letter, for people; `now` is what a replay would make of it."""
    letter = found.letter
    meaning = REASONS.get(letter.reason, "a reason that this version does not know")
    size = f"{letter.bytes:,}" + (
        f", of which the first {MAX_KEPT_BYTES:,} are kept" if letter.bytes > MAX_KEPT_BYTES else ""
    )
    told = {
        "id": found.id,
        "at": when(letter.at),
        "source": letter.source,
        "refused by": letter.leg,
        "reason": f"{letter.reason}: {meaning}",
        "path": letter.path or "the whole",
        "what to do": letter.message,
        "replay": ": ".join(text for text in replaying.verdict(now, sent=False) if text),
        "address": letter.address,
        "bytes": size,
        "sha256": letter.sha256,
    }
    return [*(f"{name:<11} {plain(text)}" for name, text in told.items()), "", *record_lines(letter)]


def record_lines(letter: DeadLetter) -> list[str]:
    """The record, indented if it is JSON: keys that stand twice and numbers of any length stay as they came."""
    try:
        text = msgspec.json.format(letter.record, indent=2)
    except (msgspec.DecodeError, RecursionError):
        text = letter.record
    return [" " * (len(line) - len(line.lstrip(" "))) + plain(line) for line in text.splitlines()]
