"""`desireline replay`: people and journeys once more, as the next generation beside the live one; then a swap."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from cli import text
from cli.common import moment, now, reading
from cli.output import err, fail, out

if TYPE_CHECKING:
    from processors.settings import WorkerSettings
    from runtime.settings import ClickHouseSettings, KafkaSettings
    from sinks.reader import Reader

app = typer.Typer(
    help="Rebuild people and journeys beside live traffic, with other definitions or identity settings, then swap.",
    no_args_is_help=True,
)
SECONDS = 60.0  # that a generation may need for what is in the logs
LOOKS = 3  # that a comparison takes: in live traffic something is always on its way
Number = Annotated[
    int | None, typer.Argument(min=1, help="Number of the generation.  [default: the newest that is not live]")
]


@app.command()
def start(
    until_caught_up: Annotated[
        bool, typer.Option("--until-caught-up", help="End then, and leave following live traffic to your workers.")
    ] = False,
) -> None:
    """Build the next generation from the log, with today's settings, and keep it current until Ctrl-C. Run again to go on."""
    from cli.replaying import follow, prepare

    with _servers():
        settings, sink_group = _settings()
        with reading() as reader:
            number = _next(reader, settings)
        prepare(settings, number)
        out.print(f"generation {number}: Ctrl-C stops it, and running this command again goes on", markup=False)
        follow(settings, number, sink_group, until_caught_up=until_caught_up)


@app.command()
def status() -> None:
    """Show the generations: which is live, how far each has come, what it holds."""
    from runtime import generations
    from sinks.generations import COMPARED, live, rows

    with _servers():
        settings, sink_group = _settings()
        with reading() as reader:
            current = live(reader)
            lines = [["generation", "", "read by", *COMPARED]]
            for number in generations.existing(settings):
                read = generations.progress(settings, number, sink_group)
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
    from sinks.generations import COMPARED, differing, live

    at = now() if as_of is None else moment("--as-of", as_of)
    with _servers():
        settings, sink_group = _settings()
        with reading() as reader:
            current = live(reader)
            number = _chosen(reader, settings, generation)
            equal: dict[str, bool] = {}
            for _ in range(LOOKS):
                for one in (current, number):
                    if behind := _behind(settings, sink_group, one):
                        err.print(f"generation {one} is behind, so more may differ: {text.plain(behind)}", markup=False)
                equal = {
                    table: digest(reader, table, at, current) == digest(reader, table, at, number) for table in COMPARED
                }
                if all(equal.values()):
                    break
            for table in COMPARED:
                said = "the same"
                if not equal[table]:
                    found = differing(reader, table, current, number, at)
                    said = (
                        f"{found.alike:,} alike, {found.only_one:,} only in {current}, {found.only_other:,} only in {number}, "
                        f"{found.otherwise:,} with other content"
                    )
                out.print(f"{table}: {said}", markup=False)
    if not all(equal.values()):
        raise typer.Exit(1)


@app.command()
def swap(generation: Number = None) -> None:
    """Make a generation the live one, for every query that begins from then on. Give the old number to go back."""
    from sinks import generations
    from sinks.reader import connect

    with _servers():
        settings, sink_group = _settings()
        with reading() as reader:
            before, number = generations.live(reader), _chosen(reader, settings, generation)
        if number == before:
            raise fail(f"generation {number} is live already")
        if behind := _behind(settings, sink_group, number):
            raise fail(f"generation {number} has not caught up, let its workers finish first ({text.plain(behind)})")
        with connect(_clickhouse()) as client:
            generations.swap(client, number)
    out.print(f"generation {number} is live; to go back: desireline replay swap {before}", markup=False)
    out.print(f"start workers and the sink with DESIRELINE_GENERATION={number} from now on", markup=False)


@app.command()
def drop(generation: Annotated[int, typer.Argument(min=1, help="Number of the generation.")]) -> None:
    """Delete a generation that is not live: topics, groups, rows. Stop its workers first. Safe to run again."""
    from runtime import generations as kafka
    from sinks import generations as clickhouse
    from sinks.reader import connect
    from sinks.verify import cut

    with _servers():
        settings, sink_group = _settings()
        with reading() as reader:
            if generation == clickhouse.live(reader):
                raise fail(f"generation {generation} is live: swap to another one first")
        kafka.require_idle(settings, generation)
        if generation in kafka.existing(settings):
            # A sink that still had rows of a deleted topic in hand could not commit them.
            if behind := asyncio.run(cut.sunk(settings, sink_group, SECONDS, generation)):
                raise fail(f"the sink has not written everything of it yet, let it finish first ({text.plain(behind)})")
            kafka.delete(settings, generation, sink_group)
        with connect(_clickhouse()) as client:
            deleted = clickhouse.drop(client, generation)
    out.print(f"generation {generation} is gone: its topics, its groups and {deleted:,} rows", markup=False)


def _settings() -> tuple[WorkerSettings, str]:
    """The worker's settings, and the sink's group. Ends the command if they cannot be read."""
    from pydantic import ValidationError

    from processors.settings import WorkerSettings
    from sinks.settings import SinkSettings

    try:
        return WorkerSettings(), SinkSettings().group
    except ValidationError as error:
        raise fail("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())) from error


@contextmanager
def _servers() -> Iterator[None]:
    """Around what asks the servers: known errors end the command with one sentence."""
    from aiokafka.errors import KafkaError as AsyncKafkaError
    from clickhouse_driver.errors import Error
    from kafka.errors import KafkaError

    from runtime.generations import CannotReplay, InUse

    try:
        yield
    except (CannotReplay, InUse) as error:
        raise fail(str(error)) from error
    except (KafkaError, AsyncKafkaError) as error:
        why = text.plain(str(error)) or type(error).__name__
        raise fail(f"Kafka does not answer ({why}): is it running? `desireline doctor` says what is wrong") from error
    except (Error, OSError, EOFError) as error:
        from cli.common import explain

        raise fail(explain(error, _clickhouse())) from error


def _clickhouse() -> ClickHouseSettings:
    from cli.common import clickhouse_settings

    return clickhouse_settings()


def _next(reader: Reader, kafka: KafkaSettings) -> int:
    """The generation that is being built, or a number that none has had before."""
    from runtime.generations import existing
    from sinks.generations import highest, live

    newest = max(existing(kafka), default=1)
    return newest if newest > live(reader) else max(newest, highest(reader)) + 1


def _chosen(reader: Reader, kafka: KafkaSettings, given: int | None) -> int:
    """The generation that is meant. Ends the command if there is none."""
    from runtime.generations import existing
    from sinks.generations import live

    there, current = existing(kafka), live(reader)
    if given is not None and given not in there:
        raise fail(f"there is no generation {given}: `desireline replay status` shows them")
    others = [number for number in there if number != current]
    if given is None and not others:
        raise fail(f"there is only generation {current}: `desireline replay start` makes the next")
    return given or others[-1]


def _behind(kafka: KafkaSettings, sink_group: str, generation: int) -> str:
    """What the generation is behind with after a minute; "" when it is through with what is in the logs now."""
    from sinks.verify import cut

    return asyncio.run(cut.through(kafka, sink_group, SECONDS, generation))
