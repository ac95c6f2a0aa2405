"""`desireline replay`: people and journeys once more, as the next generation beside the live one; then a swap."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

import typer

from cli import text
from cli.common import clickhouse_settings, moment, now, reading
from cli.output import err, fail, out
from cli.replayed import SECONDS, behind, chosen, servers, settings, stale, upcoming

app = typer.Typer(
    help="Rebuild people and journeys beside live traffic, with other definitions or identity settings, then swap.",
    no_args_is_help=True,
)
LOOKS = 3  # that a comparison takes: in live traffic something is always on its way
Number = Annotated[
    int | None, typer.Argument(min=1, help="Number of the generation.  [default: the newest that is not live]")
]


@app.command()
def start(
    origin: Annotated[
        Literal["log", "clickhouse"],
        typer.Option("--from", help="Where older touchpoints come from: the log, if it is whole, or the table."),
    ] = "log",
    until_caught_up: Annotated[
        bool, typer.Option("--until-caught-up", help="End then, and leave following live traffic to your workers.")
    ] = False,
) -> None:
    """Build the next generation, with today's settings, and keep it current until Ctrl-C. Run again to go on."""
    from cli.filling import cut_off, fill
    from cli.replaying import follow, prepare
    from runtime.generations import filling

    with servers():
        kafka, sink_group = settings()
        with reading() as reader:
            number = upcoming(reader, kafka)
            cut = cut_off(kafka, number, sink_group, reader, wanted=origin == "clickhouse")
            prepare(kafka, number, cut)
            out.print(f"generation {number}: Ctrl-C stops it, and running this command again goes on", markup=False)
            if number in filling(kafka):
                fill(kafka, number, reader)
        follow(kafka, number, sink_group, until_caught_up=until_caught_up)


@app.command()
def status() -> None:
    """Show the generations: which is live, how far each has come, what it holds."""
    from runtime import generations
    from sinks.generations import COMPARED, live, rows

    with servers():
        kafka, sink_group = settings()
        with reading() as reader:
            current = live(reader)
            lines = [["generation", "", "read by", *COMPARED]]
            for number in generations.existing(kafka):
                read = generations.progress(kafka, number, sink_group)
                shown = ", ".join(f"{one.leg} {one.read:,} of {one.end:,}" for one in read)
                counts = rows(reader, number)
                state = "live" if number == current else ""
                lines.append([str(number), state, shown, *(f"{counts[table]:,}" for table in COMPARED)])
    for line in text.columns(lines, right=range(3, 3 + len(COMPARED))):
        out.print(line, markup=False)


@app.command()
def compare(
    generation: Number = None,
    as_of: Annotated[str | None, typer.Option(help="Statuses as at this time, ISO 8601.  [default: now]")] = None,
) -> None:
    """Compare a generation with the live one, table by table, by digest. Exit code 1 when they differ."""
    from sinks.digest import digest
    from sinks.generations import COMPARED, differing, leftover, live

    at = now() if as_of is None else moment("--as-of", as_of)
    with servers():
        kafka, sink_group = settings()
        with reading() as reader:
            current = live(reader)
            number = chosen(reader, kafka, generation)
            found: dict[str, tuple[str, ...]] = {}
            for _ in range(LOOKS):
                before = found
                for one, what in behind(kafka, sink_group, current, number).items():
                    err.print(f"generation {one} is behind, so more may differ: {text.plain(what)}", markup=False)
                found = {
                    table: tuple(digest(reader, table, at, one) for one in (current, number)) for table in COMPARED
                }
                if found == before or all(one == other for one, other in found.values()):
                    break
            equal = {table: one == other for table, (one, other) in found.items()}
            for table in COMPARED:
                said = "the same"
                if not equal[table]:
                    rows = differing(reader, table, current, number, at)
                    said = (
                        f"{rows.alike:,} alike, {rows.only_one:,} only in {current}, {rows.only_other:,} only in {number}, "
                        f"{rows.otherwise:,} with other content"
                    )
                    if table == "identities" and rows.apart == (left := leftover(reader, current, number)):
                        equal[table], said = True, f"the same, but for {left:,} that no touchpoint carries any more"
                out.print(f"{table}: {said}", markup=False)
    if not all(equal.values()):
        raise typer.Exit(1)


@app.command()
def swap(generation: Number = None) -> None:
    """Make a generation the live one, for every query that begins from then on. Give the old number to go back."""
    from sinks import generations
    from sinks.reader import connect

    with servers():
        kafka, sink_group = settings()
        with reading() as reader:
            before, number = generations.live(reader), chosen(reader, kafka, generation)
            if number == before:
                raise fail(f"generation {number} is live already")
            if left := behind(kafka, sink_group, number).get(number):
                raise fail(f"generation {number} has not caught up, let its workers finish first ({text.plain(left)})")
            if hours := stale(reader, number):
                raise fail(
                    f"figures of generation {number} are not refreshed yet ({hours:,} hours): try again in a minute"
                )
        with connect(clickhouse_settings()) as client:
            generations.swap(client, number)
    out.print(f"generation {number} is live; to go back: desireline replay swap {before}", markup=False)
    out.print(f"start workers and the sink with DESIRELINE_GENERATION={number} from now on", markup=False)


@app.command()
def drop(generation: Annotated[int, typer.Argument(min=1, help="Number of the generation.")]) -> None:
    """Delete a generation that is not live: topics, groups, rows. Stop its workers first. Safe to run again."""
    from runtime import generations as in_kafka
    from sinks import generations as in_clickhouse
    from sinks.reader import connect
    from sinks.verify import cut

    with servers():
        kafka, sink_group = settings()
        with reading() as reader:
            if generation == in_clickhouse.live(reader):
                raise fail(f"generation {generation} is live: swap to another one first")
        in_kafka.require_idle(kafka, generation)
        if generation in in_kafka.existing(kafka):
            # A sink that still had rows of a deleted topic in hand could not commit them.
            if left := asyncio.run(cut.sunk(kafka, sink_group, SECONDS, generation)):
                raise fail(f"the sink has not written everything of it yet, let it finish first ({text.plain(left)})")
            in_kafka.delete(kafka, generation, sink_group)
        with connect(clickhouse_settings()) as client:
            deleted = in_clickhouse.drop(client, generation)
    out.print(f"generation {generation} is gone: its topics, its groups and {deleted:,} rows", markup=False)
