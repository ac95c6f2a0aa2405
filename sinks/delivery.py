"""One batch into its table of ClickHouse, again and again until it is there, and only bad rows left out."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import msgspec
import structlog

from runtime import metrics
from runtime.stopping import stopped
from schemas import topics
from sinks.rows import TABLES, DirtyHour, Record, dirty_lines, lines_of, newest_journeys, rows_among
from sinks.writer import Bad, Unavailable, Writer, write_good

log = structlog.get_logger()
FIRST_PAUSE_SECONDS = 0.1
T = TypeVar("T")


class GaveUp(Exception):
    """ClickHouse did not come back before we had to stop: the batch is not committed and will be read again."""


class Delivery:
    """Delivers batches; when ClickHouse is away it waits, and so does whoever awaits it: that is the back-pressure."""

    def __init__(self, writer: Writer, longest_pause: float, stop: asyncio.Event, live: int = 1) -> None:
        """`live` is the generation whose latency is worth measuring: another one is behind on purpose."""
        self._writer = writer
        self._longest_pause = longest_pause
        self._stop = stop
        self._live = live
        self._dirty: set[DirtyHour] = set()  # of journeys that are written, and not noted yet
        self._waiting: dict[str, str] = {}  # table → why it is not written

    @property
    def problem(self) -> str:
        """Why ClickHouse does not take what it is given; "" while it does. May be asked from another thread."""
        return next(
            (f"waiting for ClickHouse, table {table}: {why}" for table, why in self._waiting.copy().items()), ""
        )

    async def deliver(self, topic: str, records: Sequence[Record]) -> list[Bad]:
        """Write the records of a batch; returns the bad ones. Raises GaveUp when stopped without success.

        `settle` comes before anything of it may be committed.
        """
        rows = rows_among(topic, records)
        if not rows:
            return []
        started = time.monotonic()
        bad = await self._deliver_rows(topic, rows)
        metrics.SINK_BATCH_SECONDS.labels(TABLES[topics.split(topic)[0]]).observe(time.monotonic() - started)
        return bad

    async def settle(self) -> None:
        """Note the hours of what has been delivered. After the rows and before the commit: else a refresh could miss the rows,
        or a restart could forget the hours. Raises GaveUp."""
        dirty, self._dirty = self._dirty, set()
        if dirty:
            lines = dirty_lines(dirty)
            await self.until_available(lambda: self._writer.write("dirty_hours", lines), "dirty_hours")

    async def _deliver_rows(self, topic: str, rows: Sequence[Record]) -> list[Bad]:
        name, generation = topics.split(topic)
        if name == topics.JOURNEYS.name:
            return await self._deliver_journeys(topic, rows, generation)
        bad = await self._write(topic, rows)
        if name == topics.OUTCOMES.name and generation == self._live:
            _count_outcomes(rows)
        if topic == topics.TOUCHPOINTS.name:
            _observe_latency("touchpoints", min(row.timestamp for row in rows))
        return bad

    async def _deliver_journeys(self, topic: str, rows: Sequence[Record], generation: int) -> list[Bad]:
        journeys = await asyncio.to_thread(newest_journeys, rows, generation)
        bad = await self._write(topic, journeys.newest)
        self._dirty |= journeys.dirty
        if journeys.oldest_arrival is not None and generation == self._live:
            _observe_latency("journeys", journeys.oldest_arrival)
        return journeys.undecodable + bad

    async def _write(self, topic: str, rows: Sequence[Record]) -> list[Bad]:
        table = TABLES[topics.split(topic)[0]]

        def write(some: Sequence[Record]) -> None:
            self._writer.write(table, lines_of(topic, some))

        bad = await self.until_available(lambda: write_good(write, rows), table)
        metrics.SINK_ROWS.labels(table).inc(len(rows) - len(bad))
        return bad

    async def until_available(self, attempt: Callable[[], T], table: str) -> T:
        pause, failures = FIRST_PAUSE_SECONDS, 0
        while True:
            try:
                result = await asyncio.to_thread(attempt)
            except Unavailable as error:
                failures += 1
                self._waiting[table] = str(error)
                metrics.SINK_INSERT_ERRORS.labels(table).inc()
                log.warning(
                    "waiting for ClickHouse", table=table, failures=failures, pause_seconds=pause, error=str(error)
                )
                if self._stop.is_set():
                    raise GaveUp(str(error)) from error
                await stopped(self._stop, pause)
                pause = min(pause * 2, self._longest_pause)
                continue
            if failures:
                self._waiting.pop(table, None)
                log.info("ClickHouse is back", table=table, failures=failures)
            return result


class _Outcome(msgspec.Struct, gc=False):
    definition: str
    kind: str
    historical: bool
    retracted: bool


_outcome = msgspec.json.Decoder(_Outcome)


def _count_outcomes(rows: Sequence[Record]) -> None:
    """Those that can be read; the others are bad rows, which are counted as such."""
    told: Counter[tuple[str, str]] = Counter()
    for row in rows:
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            one = _outcome.decode(row.value)
            if not one.historical:
                told[one.definition, "retracted" if one.retracted else one.kind] += 1
    for (definition, kind), count in told.items():
        metrics.SINK_OUTCOMES.labels(definition, kind).inc(count)


def _observe_latency(rows: str, since_ms: int) -> None:
    metrics.SINK_LATENCY_SECONDS.labels(rows).observe(max(0.0, time.time() - since_ms / 1000))
