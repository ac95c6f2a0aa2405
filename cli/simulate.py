"""`desireline simulate`: Vivan los Tacos, a company whose customers' journeys are known."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from cli.output import err, fail
from schemas.rule import milliseconds

if TYPE_CHECKING:
    from ingest.simulator.outputs import Output
    from ingest.simulator.pace import Pace
    from ingest.simulator.scenario import Pain
    from ingest.simulator.simulation import Simulation

SHOWN_EVERY = 500  # touchpoints


def simulate(
    customers: Annotated[int, typer.Option(min=1, help="Customers who appear during the time simulated.")] = 1000,
    seed: Annotated[int, typer.Option(help="Same seed and options, same touchpoints.")] = 1,
    duration: Annotated[str, typer.Option(help="Simulated time, for example 12h, 7d, 26w.")] = "7d",
    start: Annotated[
        str | None, typer.Option(help="When it starts, ISO 8601.  [default: 2025-01-06, a Monday; with --speed: now]")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write JSON lines to this file; .gz packs it, - is the terminal.")
    ] = None,
    to_http: Annotated[str | None, typer.Option(help="Send to the collector at this address.")] = None,
    key: Annotated[str, typer.Option(help="Write key for --to-http.")] = "",
    to_kafka: Annotated[
        bool, typer.Option("--to-kafka", help="Write into Kafka at KAFKA_BOOTSTRAP, without a collector.")
    ] = False,
    ledger: Annotated[
        Path | None, typer.Option(help="Write what is true, as JSON lines: every journey, then the sums.")
    ] = None,
    pain: Annotated[
        str, typer.Option(help="Where it hurts: waiting, service, another touchpoint, or none.")
    ] = "waiting",
    pain_strength: Annotated[float, typer.Option(help="Share of those who pass it that leave because of it.")] = 0.1,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Touchpoints per second.  [default: as fast as possible]")
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(min=0.001, help="Live: simulated time runs this much faster than now, 60 = an hour a minute."),
    ] = None,
    touchpoints: Annotated[
        int | None, typer.Option(min=1, help="Stop after this many, and what completes them.")
    ] = None,
    duplicates: Annotated[float, typer.Option(min=0, max=1, help="Share that is sent twice.")] = 0,
    late: Annotated[float, typer.Option(min=0, max=1, help="Share that arrives late.")] = 0,
    late_by: Annotated[str, typer.Option(help="How late at most, for example 30s, 6h.")] = "6h",
    corrections: Annotated[
        float, typer.Option(min=0, max=1, help="Share of till and call records wrong at first.")
    ] = 0,
    shared_devices: Annotated[
        float, typer.Option(min=0, max=1, help="Share of orders in stores at shared kiosks.")
    ] = 0,
    signed_in: Annotated[bool, typer.Option("--signed-in", help="Every touchpoint carries the customer_id.")] = False,
) -> None:
    """Simulate a taco restaurant's customers: touchpoints on the web, in the store and on the phone, and what is true of them.

    Give one of --out, --to-http, --to-kafka; with none, the JSON lines go to the terminal. Ctrl-C ends it with a valid ledger.
    """
    from ingest.simulator.ledger import Ledger
    from ingest.simulator.outputs import OutputError
    from ingest.simulator.pace import Pace
    from ingest.simulator.scenario import Scenario
    from ingest.simulator.simulation import Simulation

    try:
        scenario = Scenario(
            customers=customers, seed=seed, duration=_time("--duration", duration), start=_start(start, speed),
            pain=_pain(pain, pain_strength), speed=speed or 1.0, signed_in=signed_in, duplicates=duplicates, late=late,
            late_by=_time("--late-by", late_by), corrections=corrections, shared_devices=shared_devices,
        )  # fmt: skip
    except ValueError as error:
        raise fail(str(error)) from error
    with ExitStack() as stack:
        try:
            write = stack.enter_context(ledger.open("wb", buffering=1 << 20)).write if ledger else None
            output = stack.enter_context(closing(_output(out, to_http, key, to_kafka)))
        except OSError as error:
            raise fail(f"{error.filename}: {error.strerror}") from error
        truth = Ledger(write)
        simulation = Simulation(scenario, truth)
        stack.enter_context(_stopped_by_ctrl_c(simulation))
        began = time.monotonic()
        try:
            sent = _run(simulation, output, Pace(rate, live=speed is not None), touchpoints)
        except OutputError as error:
            raise fail(str(error)) from error
        finally:
            summary = truth.finish(simulation.reached)
        _show(summary, sent, time.monotonic() - began, output.rejected)


def _time(option: str, text: str) -> int:
    found = milliseconds(text)
    if not isinstance(found, int):
        raise ValueError(f"{option} {text!r} is not a time: write for example 30s, 12h, 7d or 26w")
    return found


def _start(text: str | None, speed: float | None) -> int:
    from ingest.simulator.scenario import DEFAULT_START

    if text is None:
        return DEFAULT_START if speed is None else time.time_ns() // 1_000_000
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"--start {text!r} is not a time: write for example 2025-01-06T00:00:00Z") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _pain(touchpoint: str, strength: float) -> Pain | None:
    from ingest.simulator.scenario import Pain

    return None if touchpoint == "none" else Pain(touchpoint, strength)


def _output(out: Path | None, to_http: str | None, key: str, to_kafka: bool) -> Output:
    from ingest.simulator.outputs import FileOutput

    if (out is not None) + (to_http is not None) + to_kafka > 1:
        raise fail("give one of --out, --to-http, --to-kafka")
    if to_http is not None:
        from ingest.simulator.http_output import HttpOutput

        return HttpOutput(to_http, key)
    if to_kafka:
        from ingest.simulator.kafka_output import KafkaOutput
        from ingest.source import Source
        from runtime.settings import IdentitySettings
        from schemas.identity import KindsError

        try:
            return KafkaOutput(IdentitySettings(), Source("vivan_los_tacos"))
        except KindsError as error:
            raise fail(" ".join(str(error).split())) from error
    return FileOutput(out or Path("-"))


@contextmanager
def _stopped_by_ctrl_c(simulation: Simulation) -> Iterator[None]:
    """The first Ctrl-C ends the simulation in good order, the second at once."""

    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        simulation.stop()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _run(simulation: Simulation, output: Output, pace: Pace, touchpoints: int | None) -> int:
    """Hand over everything at its pace; how many there were."""
    sent = 0
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("")
        for arrival in simulation:
            if not pace.due(arrival.when):
                output.flush()
                pace.wait(arrival.when, lambda: simulation.stopping)
            output.write(arrival.touchpoint)
            pace.count()
            sent += 1
            if sent == touchpoints:
                simulation.stop()
            if sent % SHOWN_EVERY == 0:
                day = datetime.fromtimestamp(arrival.when / 1000, UTC)
                progress.update(task, description=f"{sent:,} touchpoints, simulated {day:%a %Y-%m-%d %H:%M} UTC")
        output.flush()
    return sent


def _show(summary: dict[str, Any], sent: int, seconds: float, rejected: int) -> None:
    """What is true, for people, on standard error: standard output may hold the touchpoints."""
    table = Table(
        "stage", "entered", "dropped off", "still open", "recovered", title="What really happened", title_justify="left"
    )
    for row in summary["funnel"]:
        table.add_row(row["stage"], *(f"{row[key]:,}" for key in ("entered", "dropped_off", "still_open", "recovered")))
    err.print(table)
    hurt = {place: counts for place, counts in summary["decisions"].items() if counts["left"] > counts["left_anyway"]}
    for place, counts in hurt.items():
        err.print(
            f"pain at {place}: {counts['passed']:,} passed, {counts['left']:,} left, "
            f"{counts['left_anyway']:,} of them would have left anyway"
        )
    err.print(f"{sent:,} touchpoints sent in {seconds:.1f} s, {sent / max(seconds, 1e-9):,.0f} a second")
    if rejected:
        err.print(f"{rejected:,} were rejected", style="red")
