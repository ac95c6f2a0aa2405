"""Keeping v_pain_points: the ranking of every journey definition, computed anew every few minutes, each row absolute."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import structlog
from clickhouse_driver.errors import Error as ClickHouseError

from runtime import metrics
from runtime.settings import ClickHouseSettings
from runtime.stopping import stopped
from schemas.statistics import Compared
from sinks.generations import live
from sinks.pain.ranking import PainPoint
from sinks.pain.reading import pain_points
from sinks.reader import connect, reader

log = structlog.get_logger()
WINDOW_MS = 30 * 86_400_000
REST = 20  # computing may take at most one part in so many of the time
_COLUMNS = """
    definition, channel, touchpoint, stage, place, hurts, severity, journeys, pain, lost, cost, drop_off, drop_off_comparable,
    drop_off_low, drop_off_high, passes, low_feedback, low_feedback_comparable, low_feedback_low, low_feedback_high, answers,
    repeats, repeats_comparable, waits, waits_comparable, escalations, escalations_comparable, since, computed_at, generation
"""


def keep(settings: ClickHouseSettings, now: int) -> int:
    """Compute and write the rankings as they stand at `now` (ms UTC); how many rows. Raises the driver's errors."""
    since = now - WINDOW_MS
    with reader(settings) as one:
        generation = live(one)
        definitions = [name for (name,) in one.ask("SELECT DISTINCT definition FROM v_stages ORDER BY definition").rows]
        found = {definition: pain_points(one, definition, since, now) for definition in definitions}
    end = (_moment(since), _moment(now), generation)
    rows = [
        (definition, *row, *end)
        for definition, points in found.items()
        for row in _rows(points)
    ]  # fmt: skip
    if rows:
        with connect(settings) as client:
            client.execute(f"INSERT INTO pain_points ({_COLUMNS}) VALUES", rows)
    return len(rows)


def _rows(points: list[PainPoint]) -> Iterator[tuple[Any, ...]]:
    for place, one in enumerate(points, 1):
        yield (
            one.channel, one.touchpoint, one.stage, place, one.hurts, one.severity, one.journeys, one.pain, one.lost,
            dict(one.cost), *_whole(one.drop_off), *_whole(one.low_feedback), *_shares(one.repeats), *_shares(one.waits),
            *_shares(one.escalations),
        )  # fmt: skip


def _whole(one: Compared | None) -> tuple[Any, ...]:
    return (one.share, one.other_share, one.low, one.high, one.n) if one else (None, None, None, None, 0)


def _shares(one: Compared | None) -> tuple[Any, ...]:
    return (one.share, one.other_share) if one else (None, None)


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)


async def keep_ranked(
    settings: ClickHouseSettings, every: float, leading: Callable[[], bool], stop: asyncio.Event
) -> None:
    """Keep them until `stop`, while `leading()`, every so many seconds (0: never)."""
    pause = every
    while every and not await stopped(stop, pause):
        if not leading():
            continue
        began = time.monotonic()
        try:
            await asyncio.to_thread(keep, settings, int(time.time() * 1000))
            metrics.SINK_PAIN_SECONDS.observe(time.monotonic() - began)
        except (ClickHouseError, OSError, EOFError) as error:  # EOFError: the server died while it answered
            log.warning("pain points not computed", error=str(error))
        pause = max(every, REST * (time.monotonic() - began))
