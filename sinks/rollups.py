"""Keeping the rollups right: whole buckets, recomputed from the live rows, whenever the sink noted that they changed.

A refresh repeated, or done by two processes at once, changes nothing: the later version holds the later reading.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog
from clickhouse_driver.errors import Error as ClickHouseError

from runtime import metrics
from runtime.settings import ClickHouseSettings
from runtime.stopping import stopped
from sinks.queries import query
from sinks.reader import connect

log = structlog.get_logger()

HOURLY = ("refresh_funnel",)
DAILY = ("refresh_transitions", "refresh_steps", "refresh_touchpoints", "refresh_channel_paths")
HOURS_AT_ONCE = 240
DAYS_AT_ONCE = 10
# A dirty hour is stamped by the server when its insert begins and seen when it ends: so we look back further than any insert
# takes, and remember what we have answered for.
LOOK_BACK = timedelta(seconds=90)
OLDER_TIMES_RARER = 6
REST = 4  # a refresh may take at most one part in so many of the time


class Dirty(NamedTuple):
    """One note of the sink."""

    generation: int
    definition: str
    hour: datetime
    written_at: datetime


class Pass:
    """Refreshes either the last two days or everything older. `refresh` is what a test calls."""

    def __init__(self, recent: bool) -> None:
        self.name = "recent" if recent else "older"
        self._recent = recent
        self._answered: set[Dirty] = set()

    def refresh(self, client: Any) -> int:
        """Answer for all notes so far; returns how many there were. Raises clickhouse_driver's errors; then call again."""
        seen_until, highest, now = client.execute(query("refresh_state"), {"name": self.name})[0]
        since = (seen_until - LOOK_BACK).strftime("%Y-%m-%d %H:%M:%S")
        notes = client.execute(query("dirty_hours"), {"since": since, "recent": int(self._recent)})
        dirty = [note for note in map(Dirty._make, notes) if note not in self._answered]
        if dirty:
            version = max(highest + 1, int(now.timestamp() * 1_000_000))
            _recompute(client, version, dirty)
            client.execute("INSERT INTO refreshes (rollups, seen_until, version) VALUES", [(self.name, now, version)])
            self._answered.update(dirty)
        self._answered = {note for note in self._answered if note.written_at > seen_until - 2 * LOOK_BACK}
        return len(dirty)


def _recompute(client: Any, version: int, dirty: list[Dirty]) -> None:
    for generation in sorted({note.generation for note in dirty}):
        _recompute_generation(client, version, generation, [note for note in dirty if note.generation == generation])


def _recompute_generation(client: Any, version: int, generation: int, dirty: list[Dirty]) -> None:
    definitions = tuple(sorted({note.definition for note in dirty}))
    hours = sorted({note.hour.strftime("%Y-%m-%d %H:%M:%S") for note in dirty})
    days = sorted({note.hour.date() for note in dirty})
    parameters = {"generation": generation, "definitions": definitions, "version": version}
    for names, buckets, at_once in ((HOURLY, hours, HOURS_AT_ONCE), (DAILY, [str(day) for day in days], DAYS_AT_ONCE)):
        for some in _parts(buckets, at_once):
            for name in names:
                client.execute(query(name), {**parameters, "buckets": some})


def _parts(buckets: list[str], size: int) -> Iterable[tuple[str, ...]]:
    return (tuple(buckets[i : i + size]) for i in range(0, len(buckets), size))


async def keep_fresh(
    settings: ClickHouseSettings, every: float, leading: Callable[[], bool], stop: asyncio.Event
) -> None:
    """Refresh until `stop`, while `leading()`; the recent every `every` seconds (0: never), the rest less often."""
    if not every:
        return
    recent, older = Pass(recent=True), Pass(recent=False)
    turn, pause = 0, every
    while not await stopped(stop, pause):
        if not leading():
            continue
        passes = [recent, older] if turn % OLDER_TIMES_RARER == 0 else [recent]
        turn += 1
        began = time.monotonic()
        try:
            await asyncio.to_thread(_refresh, settings, passes)
        except (ClickHouseError, OSError, EOFError) as error:  # EOFError: the server died while it answered
            log.warning("rollups not refreshed", error=str(error))
        pause = max(every, REST * (time.monotonic() - began))


def _refresh(settings: ClickHouseSettings, passes: list[Pass]) -> None:
    with connect(settings, max_threads=1, max_insert_threads=1) as client:
        for one in passes:
            began = time.monotonic()
            if one.refresh(client):
                metrics.SINK_REFRESH_SECONDS.labels(one.name).observe(time.monotonic() - began)
