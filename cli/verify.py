"""`desireline verify`: is what the tables say what the stored touchpoints come to?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import text
from cli.common import moment, now, reading
from cli.output import err, fail, out

if TYPE_CHECKING:
    from runtime.settings import KafkaSettings
    from sinks.verify.compare import Difference
    from sinks.verify.expect import Configuration
    from sinks.verify.run import Report, Wanted

BEHIND_SECONDS = 60.0  # that the line may need for what is in the logs
MOST_SHOWN = 120  # characters of a value
DIFFERS, NOT_VERIFIED = 1, 2  # exit codes


def verify(
    sample: Annotated[
        int | None, typer.Option(min=1, help="Only so many customers, drawn by the hash of their ids.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only customers with touchpoints since this time, ISO 8601.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Differences that are printed; all are counted.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Compute customers, journeys and figures once more from the stored touchpoints, and name every difference.

    Exit code 0: there is none, or each is explained; 1: some are not; 2: it could not be verified.
    """
    from sinks.verify.run import Wanted

    try:
        wanted = Wanted(sample, moment("--since", since) if since else None)
        report, behind = _report(wanted, not as_json)
    except typer.Exit as error:
        raise typer.Exit(NOT_VERIFIED) from error
    if behind:
        err.print(f"the line is behind, so more may differ: {text.plain(behind)}", markup=False)
    if as_json:
        _print_json(report, behind, limit)
    else:
        _print(report, wanted, limit)
    if report.unexplained or report.counts["differences not kept"]:
        raise typer.Exit(DIFFERS)


def _report(wanted: Wanted, tells: bool) -> tuple[Report, str]:
    """What was found, and with what the line was behind. Ends the command when it cannot be verified."""
    from aiokafka.errors import KafkaError

    from sinks.generations import live
    from sinks.verify import cut, run

    configuration, kafka, group = _configuration()
    behind = ""

    with err.status("") as status:

        def tell(what: str, count: int) -> None:
            if tells:
                status.update(f"{what} {count:,}" if count else what)

        def wait() -> cut.Ordered:
            nonlocal behind
            tell("waiting for the line", 0)
            behind = asyncio.run(cut.through(kafka, group, BEHIND_SECONDS, generation))
            return asyncio.run(cut.ordered(kafka, configuration.secret, generation))

        try:
            with reading() as reader:
                generation = live(reader)
                return run.verify(reader, configuration, wanted, now, wait, tell), behind
        except run.OtherConfiguration as error:
            raise fail(str(error)) from error
        except KafkaError as error:
            why = text.plain(str(error)) or type(error).__name__
            raise fail(f"Kafka at {kafka.bootstrap} does not answer ({why}): desireline up") from error


def _configuration() -> tuple[Configuration, KafkaSettings, str]:
    """The worker's settings, and the sink's group. Ends the command if they cannot be read."""
    from pydantic import ValidationError

    from processors.settings import WorkerSettings
    from schemas.definition import DefinitionsError, load_definitions
    from schemas.identity import KindsError
    from schemas.rule import UNITS
    from sinks.settings import SinkSettings
    from sinks.verify.expect import Configuration

    try:
        settings = WorkerSettings()
        configuration = Configuration(
            definitions=load_definitions(settings.definitions),
            kinds=settings.kinds,
            secret=settings.secret.get_secret_value().encode(),
            max_touchpoints=settings.max_touchpoints,
            horizon=round(settings.horizon * UNITS["d"]),
        )
        return configuration, settings, SinkSettings().group
    except DefinitionsError as error:
        raise fail(str(error)) from error
    except KindsError as error:
        raise fail(" ".join(str(error).split())) from error
    except ValidationError as error:
        raise fail("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())) from error


def _print(report: Report, wanted: Wanted, limit: int) -> None:
    from sinks.verify.figures import ROLLUPS

    counts = report.counts
    figures = sum(counts[table] for table in ROLLUPS)
    compared = (
        f"compared: {counts['people']:,} customers, {counts['person_touchpoints']:,} touchpoints, "
        f"{counts['identities']:,} identifiers, {counts['journeys']:,} journeys, {counts['outcomes']:,} outcomes, "
        f"{figures:,} figures"
    )
    out.print(compared, markup=False)
    if not wanted.everything:
        out.print("figures count all customers, so they are compared only when all are verified", markup=False)
    for name in (
        "people above max_touchpoints",
        "drop-offs not told yet",
        "late",
        "figures not compared",
        "differences not kept",
    ):
        if counts[name]:
            out.print(f"{name}: {counts[name]:,}{_WHY.get(name, '')}", markup=False)
    differences = [*report.differences, *report.late]
    for difference in differences[:limit]:
        out.print(_said(difference), markup=False)
    left = len(differences) - limit
    if left > 0:
        out.print(f"… and {left:,} more: --limit", markup=False)
    if report.healed:
        out.print(f"{report.healed:,} differed at first: they changed since the cut, and are right", markup=False)
    total, unexplained = _total(report), len(report.unexplained)
    verdict = f"{total:,} differences" + (f", {unexplained:,} unexplained" if total else "")
    out.print(verdict, style="red" if unexplained else "green", markup=False)


_WHY = {
    "people above max_touchpoints": " (they have no journeys)",
    "drop-offs not told yet": " (their deadlines wait: for more news of history, or for clients after an outage)",
    "late": " (they came after the horizon of their customers and are in no journey until a replay)",
    "figures not compared": " (their hours or days are being refreshed)",
}


def _total(report: Report) -> int:
    """How much differs, be it explained or not."""
    return len(report.differences) + report.counts["differences not kept"] + report.counts["late"]


def _said(one: Difference) -> str:
    where = f"{one.table} {one.key}: "
    if one.what == "missing":
        what = f"missing, should be {_short(one.expected)}"
    elif one.what == "extra":
        what = f"should not be there: {_short(one.live)}"
    else:
        what = f"{one.column} is {_short(one.live)}, should be {_short(one.expected)}"
    return text.plain(f"{where}{what} ({one.cause})")


def _short(value: Any) -> str:
    said = str(value)
    return said if len(said) <= MOST_SHOWN else said[: MOST_SHOWN - 1] + "…"


def _print_json(report: Report, behind: str, limit: int) -> None:
    import json
    from dataclasses import asdict

    said = {
        "as_of": report.as_of,
        "looks": report.looks,
        "behind": behind,
        "compared": dict(report.counts),
        "healed": report.healed,
        "total": _total(report),
        "unexplained": len(report.unexplained),
        "differences": [asdict(one) for one in [*report.differences, *report.late][:limit]],
    }
    typer.echo(json.dumps(said, default=list))
