"""`desireline import`: a file of touchpoints, or of rows that a map turns into touchpoints."""

from __future__ import annotations

import asyncio
import gzip
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, cast

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from cli.output import err, fail
from ingest.erased import NOTHING, Erased
from ingest.importing import CHUNK_ROWS, Chunk, chunks, reader
from runtime.settings import IdentitySettings, KafkaSettings

if TYPE_CHECKING:
    from ingest.channels.files import File
    from ingest.progress import ImportState

SHOWN_REJECTIONS = 5
BROKER_PATIENCE = 60.0  # seconds
SAVED_EVERY = 0.5  # seconds


def import_file(
    file: Annotated[str, typer.Argument(help="CSV or JSON lines, gzip or not; - is standard input.")],
    map_file: Annotated[Path | None, typer.Option("--map", help="The map: which column becomes what.")] = None,
    source: Annotated[str | None, typer.Option(help="Name of the source; with a map, instead of the map's.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Send nothing; write to --out what would be sent.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="File for --dry-run, JSON lines; .gz packs it.")] = None,
    rate: Annotated[float | None, typer.Option(min=0.001, help="Touchpoints per second.  [default: no limit]")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="From the first row, also after an interruption.")] = False,
) -> None:
    """Import a file. What cannot be accepted goes to the dead letters; run it again after an interruption and it goes on.

    Whoever was erased before it begins is left out; a dry run, which asks nobody, does not know who that is.
    """
    from ingest.channels.files import File, FileError
    from ingest.map import MapError, load_map
    from ingest.progress import ImportState
    from schemas.identity import KindsError

    if out is not None and not dry_run:
        raise fail("--out is for --dry-run")
    settings = IdentitySettings()
    try:
        kinds = settings.kinds
        rules = load_map(map_file, kinds) if map_file else None
        with closing(File(file, rules.format if rules else None, rules.delimiter if rules else ",")) as opened:
            rows = opened.rows()
            erased = NOTHING if dry_run else _erased(settings)
            read, rows = reader(opened, rows, rules, source, kinds, erased)
            name = source or (rules.source if rules else opened.name)
            state = None if dry_run else ImportState(settings.home, opened.name, opened.content, rules, source)
            if state is not None and restart:
                state.forget()
            done = state.load() if state is not None else 0
            size = CHUNK_ROWS if rate is None else max(1, min(CHUNK_ROWS, int(rate / 10)))
            found = chunks(read, rows, done, lambda: time.time_ns() // 1_000_000, size)
            summary = _Summary(opened, state, done)
            if dry_run:
                _write(found, out, summary)
            else:
                _send(settings, opened.name, name, found, rate, summary)
    except (FileError, MapError) as error:
        raise fail(str(error)) from error
    except KindsError as error:
        raise fail(" ".join(str(error).split())) from error


class _Summary:
    """What has become of the rows so far: the bar, the position on disk, the last lines."""

    def __init__(self, file: File, state: ImportState | None, done: int) -> None:
        self._file, self._state, self._began = file, state, time.monotonic()
        self._saved = self._began
        self._continued_at = done
        self._rows = done
        self._accepted = self._left_out = 0
        self._rejected: Counter[str] = Counter()
        self._shown: list[str] = []
        self._bar = Progress(
            TextColumn(file.name), BarColumn(), TextColumn("{task.fields[count]}"), TimeRemainingColumn(), console=err
        )
        self._task: TaskID = self._bar.add_task("", total=file.size or None, count="")

    def __enter__(self) -> _Summary:
        if self._continued_at:
            err.print(f"goes on after row {self._continued_at:,}; --restart begins again")
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def add(self, chunk: Chunk) -> None:
        """The chunk is safe: in Kafka, or in the file of the dry run."""
        self._rows = chunk.rows
        self._accepted += len(chunk.accepted)
        self._left_out += chunk.left_out
        for row, rejected in chunk.rejected:
            self._rejected[rejected.reason] += 1
            if len(self._shown) < SHOWN_REJECTIONS:
                place = f" {rejected.path}:" if rejected.path else ""
                self._shown.append(f"{self._file.name}:{row.line}: {rejected.reason}:{place} {rejected.message}")
        now = time.monotonic()
        if now - self._saved > SAVED_EVERY:
            self._saved = now
            if self._state is not None:
                self._state.save(self._rows)
            self._bar.update(self._task, completed=self._file.position, count=f"{self._rows:,} rows")

    def interrupted(self, why: str) -> typer.Exit:
        """Keep the position; `raise` what it returns."""
        if self._state is not None:
            self._state.save(self._rows)
            why = f"{why} after row {self._rows:,}: run the same command again and it goes on from there"
        return fail(why)

    def finished(self, verb: str) -> None:
        if self._state is not None:
            self._state.forget()
        self._bar.update(self._task, completed=self._file.size or None, count=f"{self._rows:,} rows")
        self._bar.stop()
        seconds = time.monotonic() - self._began
        for line in self._shown:
            err.print(line, markup=False)
        rejected = sum(self._rejected.values())
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in self._rejected.most_common())
        err.print(
            f"{self._accepted:,} touchpoints {verb}, {rejected:,} rejected{f' ({reasons})' if reasons else ''}"
            + (f", {self._left_out:,} rows left out by the map" if self._left_out else "")
            + f"; {seconds:.1f} s, {self._accepted / max(seconds, 0.001):,.0f} a second"
        )


def _erased(settings: IdentitySettings) -> Erased:
    """Who is erased now. Ends the command when Kafka does not say."""
    from aiokafka.errors import KafkaError

    from ingest.following import erased_now

    try:
        return asyncio.run(erased_now(settings, BROKER_PATIENCE))
    except (KafkaError, TimeoutError) as error:
        raise fail(f"nothing was sent, for it cannot be read who was erased: {error}") from error


def _send(
    settings: KafkaSettings, file: str, source: str, found: Iterator[Chunk], rate: float | None, summary: _Summary
) -> None:
    from ingest.budget import BrokerAway
    from ingest.sending import Sender
    from runtime.logging import configure

    configure("import", "error")  # that the broker comes and goes shows in the bar

    async def send() -> None:
        await Sender(settings, file, source, patience=BROKER_PATIENCE, done=summary.add).send(found, rate)

    try:
        with summary:
            asyncio.run(send())
    except BrokerAway as error:
        raise summary.interrupted(str(error)) from error
    except KeyboardInterrupt as error:
        raise summary.interrupted("interrupted") from error
    summary.finished("sent")


def _write(found: Iterator[Chunk], out: Path | None, summary: _Summary) -> None:
    """The dry run."""
    try:
        with _opened(out) as file, summary:
            for chunk in found:
                file.write(b"".join(accepted.value + b"\n" for accepted in chunk.accepted))
                summary.add(chunk)
    except OSError as error:
        raise fail(f"{out}: {error.strerror}") from error
    summary.finished("would be sent")


def _opened(out: Path | None) -> IO[bytes]:
    if out is None:
        return Path(os.devnull).open("wb")
    return cast(IO[bytes], gzip.open(out, "wb", compresslevel=3)) if out.suffix == ".gz" else out.open("wb")
