"""What `desireline replay start` does: makes a generation's topics, runs its worker, and shows how far it has come."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from cli.output import err, fail, out
from processors.beginning import begin
from processors.cutting import Cut
from processors.settings import WorkerSettings
from runtime import generations
from runtime.orphans import end_with
from schemas.definition import DefinitionsError, load_definitions
from schemas.identity import KindsError
from schemas.topics import Generation

LOOK_SECONDS = 0.5
STOP_SECONDS = 30.0
NEAR = 1_000  # records: live traffic is always a little ahead of whoever follows it
RESTART = 70  # a worker's exit code for: start me again
MOST_STARTS = 3  # of a worker that ends before it has run for STEADY_SECONDS
STEADY_SECONDS = 30.0
LAST_LINES = 5
READS = {"identity": "touchpoints read", "stitch": "of people stitched", "sink": "of journeys written"}


def prepare(settings: WorkerSettings, number: int, cut: Cut | None = None) -> None:
    """Topics of the generation, what it knows of erasures, and the names of its stages in ClickHouse. Safe to repeat.

    With a `cut` it begins with the touchpoints of ClickHouse. Ends the command for files of settings that cannot be used.
    Raises CannotReplay, KafkaError.
    """
    from cli.common import clickhouse_settings
    from sinks.clickhouse import HttpWriter
    from sinks.stages import stage_lines
    from sinks.writer import Unavailable

    try:
        definitions = load_definitions(settings.definitions)
        settings.kinds  # noqa: B018 - reads the file
    except DefinitionsError as error:
        raise fail(str(error)) from error
    except KindsError as error:
        raise fail(" ".join(str(error).split())) from error
    generations.create(settings, number, stored=cut is not None)
    asyncio.run(begin(settings, number, cut))
    writer = HttpWriter(clickhouse_settings())
    try:
        writer.write("stages", stage_lines(definitions, number))
    except Unavailable as error:
        raise fail(f"{error}; run the same command again once ClickHouse answers") from error
    finally:
        writer.close()


class Worker:
    """Both legs of one generation as a process, started again when it asks for it."""

    def __init__(self, settings: WorkerSettings, number: int) -> None:
        self.log = Path(settings.home) / "logs" / f"worker.g{number}.log"
        self._environment = os.environ | {"DESIRELINE_GENERATION": str(number), "DESIRELINE_METRICS_PORT": "0"}
        self._process: subprocess.Popen[bytes] | None = None
        self._starts, self._started = 0, 0.0

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._started = time.monotonic()
        parent = os.getpid()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "processors.app"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for this command, which stops it in order
                preexec_fn=lambda: end_with(parent),  # noqa: PLW1509 - one prctl and one getppid, no lock taken
            )

    def look(self) -> None:
        """Start it again if it ended and may be; ends the command if it keeps ending."""
        assert self._process is not None
        code = self._process.poll()
        if code is None:
            return
        steady = time.monotonic() - self._started > STEADY_SECONDS
        self._starts = 1 if steady else self._starts + 1
        if code != RESTART or self._starts >= MOST_STARTS:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
            raise fail("\n".join([f"the worker ended with exit code {code}; {self.log} ends with", *lines]))
        self.start()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()


def follow(settings: WorkerSettings, number: int, sink_group: str, *, until_caught_up: bool) -> None:
    """Run the worker and show its progress, until Ctrl-C, SIGTERM, or until it has caught up. Raises KafkaError."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    worker = Worker(settings, number)
    columns = (
        TextColumn("{task.description:<20}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    filling = number in generations.filling(settings)
    try:
        worker.start()
        with Progress(*columns, console=err) as bars:
            tasks = {leg: bars.add_task(said, total=None) for leg, said in READS.items()}
            said = False
            while True:
                worker.look()
                progress = generations.progress(settings, number, sink_group)
                for one in progress:
                    bars.update(tasks[one.leg], completed=one.read, total=one.end)
                if filling:
                    filling = not _read_what_was_stored(settings, number, worker, progress[0].behind)
                elif not said and all(one.behind <= NEAR and (one.read or not one.end) for one in progress):
                    said = True
                    out.print(f"generation {number} has caught up: desireline replay compare, then swap", markup=False)
                    if until_caught_up:
                        return
                time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        out.print(f"stopped; run the same command again and generation {number} goes on", markup=False)
    finally:
        worker.stop()


def _read_what_was_stored(settings: WorkerSettings, number: int, worker: Worker, behind: int) -> bool:
    """Has the generation read what ClickHouse had? Then its worker is started again and goes on with the log."""
    from sinks.verify import cut

    own = Generation(number)
    # Markers of transactions are behind the last record: near the end it is worth to look.
    if behind > NEAR or asyncio.run(cut.unread(settings, own.group("identity"), own.stored.name)):
        return False
    worker.stop()
    generations.filled(settings, number)
    worker.start()
    return True
