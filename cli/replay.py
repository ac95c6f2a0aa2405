"""What `desireline dead-letters replay` does: asks again about each letter, sends what is a touchpoint now, reports all."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from pydantic import ValidationError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from cli.letters import SHOWN_DIGITS, Found
from cli.output import err, fail, out
from cli.text import plain
from ingest.accept import Accepted
from ingest.erased import NOTHING, Erased
from ingest.importing import Chunk
from ingest.rejected import Rejected
from ingest.replaying import NotReplayable, SourceNamed, again
from ingest.settings import ReplaySettings
from schemas.identity import DEFAULT_KINDS, Kinds, KindsError

BATCH_LETTERS = 100  # up to 64 kB each
MANY = 50  # from so many on there is a bar
BROKER_PATIENCE = 30.0  # seconds
VERDICTS = ("replayed", "would be replayed", "still refused", "cannot be replayed")
AGAIN = "run the same command again: what is sent twice counts once"


class Outcome(NamedTuple):
    """A letter, and what becomes of it now."""

    found: Found
    answer: Accepted | Rejected | NotReplayable


@dataclass(slots=True)
class Batch(Chunk):
    """Letters that are sent together."""

    outcomes: list[Outcome] = field(default_factory=list)


def settings() -> ReplaySettings:
    """From the environment; a mistake in it, or in a file that it names, ends the command with one sentence."""
    try:
        found = ReplaySettings()
        found.kinds  # noqa: B018 - reads the file
        return found
    except KindsError as error:
        raise fail(" ".join(str(error).split())) from error
    except ValidationError as error:
        raise fail("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())) from error


def batches(
    found: Iterable[Found],
    source: SourceNamed,
    kinds: Kinds = DEFAULT_KINDS,
    erased: Erased = NOTHING,
    size: int = BATCH_LETTERS,
) -> Iterator[Batch]:
    """The letters in their order, each with its answer; at most `size` at a time."""
    left, rows = iter(found), 0
    while outcomes := [Outcome(one, again(one.letter, source, kinds, erased)) for one in islice(left, size)]:
        rows += len(outcomes)
        accepted = [outcome.answer for outcome in outcomes if isinstance(outcome.answer, Accepted)]
        yield Batch(rows, accepted, outcomes=outcomes)


def verdict(answer: Accepted | Rejected | NotReplayable, *, sent: bool) -> tuple[str, str]:
    """What became of a letter, or without `sent` would become of it; and why, unless it is replayed."""
    if isinstance(answer, Accepted):
        return "replayed" if sent else "would be replayed", ""
    if isinstance(answer, NotReplayable):
        return "cannot be replayed", answer.why
    place = f" {answer.path}:" if answer.path else ""
    return "still refused", f"{answer.reason}:{place} {answer.message}"


class Report:
    """A line for each letter as soon as it is settled, a bar if there are many, and the totals."""

    def __init__(self, total: int, *, dry_run: bool) -> None:
        self._sent = not dry_run
        self._total = total
        self._settled: Counter[str] = Counter()
        columns = TextColumn("dead letters"), BarColumn(), MofNCompleteColumn()
        # Rich would lead standard output to the bar's console, also where it is a file.
        self._bar = Progress(
            *columns, console=err, transient=True, disable=total < MANY, redirect_stdout=sys.stdout.isatty()
        )
        self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> Report:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def add(self, batch: Chunk) -> None:
        """The batch is settled: the broker has what is accepted of it."""
        assert isinstance(batch, Batch)
        for found, answer in batch.outcomes:
            became, why = verdict(answer, sent=self._sent)
            self._settled[became] += 1
            where = f"{plain(found.letter.source)}  {plain(found.letter.address)}"
            out.print(f"{found.id[:SHOWN_DIGITS]}  {became:<18}  {where}  {plain(why)}".rstrip(), markup=False)
        self._bar.advance(self._task, len(batch.outcomes))

    def totals(self) -> str:
        """`3 of 4 dead letters: replayed 2, still refused 1`."""
        done = sum(self._settled.values())
        of = "" if done == self._total else f"{done:,} of "
        counts = ", ".join(f"{became} {self._settled[became]:,}" for became in VERDICTS if self._settled[became])
        return f"{of}{self._total:,} dead letter{'' if self._total == 1 else 's'}" + (f": {counts}" if counts else "")

    @property
    def still_refused(self) -> int:
        return self._settled["still refused"]


def replay(found: Iterator[Found], total: int, configured: ReplaySettings, *, dry_run: bool) -> Report:
    """Settle all letters, `total` of them. Ends the command if the broker stays away, and on Ctrl-C."""
    from aiokafka.errors import KafkaError  # Kafka's clients take a moment to import

    from ingest.budget import BrokerAway
    from ingest.following import erased_now
    from ingest.sending import Sender
    from runtime.logging import configure

    configure("replay", "error")  # that the broker comes and goes is said once, at the end
    report = Report(total, dry_run=dry_run)

    async def send() -> None:
        erased = await erased_now(configured, BROKER_PATIENCE)
        given = batches(found, configured.sources.named, configured.kinds, erased)
        await Sender(configured, "", "", patience=BROKER_PATIENCE, done=report.add).send(given, None)

    try:
        with report:
            if dry_run:
                for batch in batches(found, configured.sources.named, configured.kinds):
                    report.add(batch)
            else:
                asyncio.run(send())
    except (BrokerAway, KafkaError, TimeoutError) as error:
        out.print(report.totals())
        raise fail(f"{error}; {AGAIN}") from error
    except KeyboardInterrupt as error:
        out.print(report.totals())
        raise fail(f"interrupted; {AGAIN}") from error
    return report
