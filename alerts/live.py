"""The watch over live minutes: judges those that are over and wholly stored, and completes what it says. Blocks; one thread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
import structlog

from alerts import reading
from alerts.message import link
from alerts.resuming import resumed
from alerts.settings import AlertSettings
from alerts.stored import DAY, learning_from, rules, walk
from alerts.watch import State
from runtime import metrics
from runtime.settings import ClickHouseSettings
from schemas.alert import Alert
from sinks.queries import query
from sinks.reader import Reader, reader

log = structlog.get_logger()
_STORED = (
    "alert_id",
    "change",
    "journey",
    "stage",
    "channel",
    "measure",
    "since",
    "opened_at",
    "resolved_at",
    "settled",
)
_FIGURES = ("stays", "expected", "observed", "lost", "also", "version")


class Live:
    """Learns from the stored weeks first; then each call of `advance` goes on where the last one ended."""

    def __init__(self, settings: AlertSettings, clickhouse: ClickHouseSettings) -> None:
        self._settings = settings
        self._clickhouse = clickhouse
        self._state: State | None = None

    def advance(self, last: int) -> list[Alert]:
        """What is to be said after the minutes up to `last`. Raises clickhouse_driver's errors; then call again."""
        with reader(self._clickhouse) as one:
            said = list(self._completed(one, self._judged(one, last)))
        for alert in said:
            metrics.ALERTS_CHANGES.labels(alert.change).inc()
        return said

    def _judged(self, one: Reader, last: int) -> list[Alert]:
        wanted = rules(one, self._settings)
        state, before = self._state or State(), self._state
        said: list[Alert] = []
        first = learning_from(last, self._settings) if before is None else before.minute + 1
        for after, new in walk(one, state, first, last, wanted, self._settings):
            state = after
            said += new
        if before is None:
            state, said = resumed(state, open_alerts(one))
            log.info("learnt", minutes=last - first + 1, series=len(state.series), watched=state.charts)
        self._state = state
        metrics.ALERTS_OPEN.set(len(state.causes))
        metrics.ALERTS_WATCHED.set(state.charts)
        return said

    def _completed(self, one: Reader, said: list[Alert]) -> Iterator[Alert]:
        """With the stage's name, the customers and a link."""
        names = stage_names(one) if said else {}
        for alert in said:
            look_back = self._settings.look_back_days * DAY
            yield msgspec.structs.replace(
                alert,
                stage_name=names.get((alert.journey, alert.stage), ""),
                customers=reading.customers(one, alert, self._settings.customers, look_back),
                link=link(alert, self._settings),
            )


def stage_names(one: Reader) -> Mapping[tuple[str, int], str]:
    """Of the live generation. Raises clickhouse_driver's errors."""
    rows = one.ask("SELECT definition, stage, name FROM v_stages").rows
    return {(str(journey), int(stage)): str(name) for journey, stage, name in rows}


def open_alerts(one: Reader) -> list[Alert]:
    """The alerts that the table says are open. Raises clickhouse_driver's errors."""
    return [
        msgspec.convert(
            dict(zip((*_STORED, *_FIGURES), row, strict=True)), Alert, strict=False
        )  # the driver has truth as 0 or 1
        for row in one.ask(query("alerts_open")).rows
    ]
