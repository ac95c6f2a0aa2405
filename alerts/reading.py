"""What the watch is given, out of ClickHouse: the stages that it watches, each minute's counts, and whom an alert is about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from alerts.counts import MINUTE_MS, WEEK, Counts, Series
from schemas.alert import Affected, Alert
from sinks.queries import query
from sinks.reader import Reader

AT_ONCE = WEEK  # minutes that one query counts


def patience(reader: Reader) -> dict[tuple[str, int], int]:
    """(journey, stage) → minutes, of the live generation. Raises clickhouse_driver's errors."""
    rows = reader.ask("SELECT definition, stage, intDiv(patience_ms, 60000) FROM v_stages").rows
    return {(journey, stage): max(1, minutes) for journey, stage, minutes in rows}


def minutes(reader: Reader, first: int, last: int, look_back: int) -> Iterator[tuple[int, Mapping[Series, Counts]]]:
    """(minute, counts by series) for each minute from first to last, both included, as far as they are stored.

    Journeys that began more than `look_back` minutes before are left out. Raises clickhouse_driver's errors.
    """
    text = _over_stays("alert_minutes")
    for start in range(first, last + 1, AT_ONCE):
        end = min(last, start + AT_ONCE - 1)
        given = {"first": start, "last": end, "oldest": max(0, start - look_back)}
        yield from _by_minute(reader.stream(text, given), start, end)


def customers(reader: Reader, alert: Alert, most: int, look_back: int) -> list[Affected]:
    """The customers of an alert, newest first, at most so many. Raises clickhouse_driver's errors."""
    first, last = alert.since // MINUTE_MS, alert.opened_at // MINUTE_MS
    given = {
        "journey": alert.journey,
        "stage": alert.stage,
        "channel": alert.channel,
        "measure": alert.measure,
        "first": first,
        "last": last,
        "oldest": max(0, first - look_back),
        "most": most,
    }
    rows = reader.ask(_over_stays("alert_customers"), given).rows
    return [
        Affected(person_id=person.hex, journey_id=journey.hex, at=at, did=list(did))
        for person, journey, at, did in rows
    ]


def _over_stays(name: str) -> str:
    return query(name).replace("<stays>", query("alert_stays"))


def _by_minute(rows: Iterator[Any], first: int, last: int) -> Iterator[tuple[int, Mapping[Series, Counts]]]:
    """Rows in the order of their minutes → every minute, those without a row too."""
    under_way, seen = first, _Minute()
    for minute, journey, stage, channel, kind, age, stays in rows:
        while under_way < minute:
            yield under_way, seen.counts()
            under_way, seen = under_way + 1, _Minute()
        seen.add(Series(journey, stage, channel), kind, age, stays)
    while under_way <= last:
        yield under_way, seen.counts()
        under_way, seen = under_way + 1, _Minute()


class _Minute:
    def __init__(self) -> None:
        self._plain: defaultdict[Series, dict[str, int]] = defaultdict(dict)
        self._ages: defaultdict[Series, list[tuple[int, int]]] = defaultdict(list)

    def add(self, series: Series, kind: str, age: int, stays: int) -> None:
        if kind == "moved_on":
            self._ages[series].append((age, stays))
        else:
            self._plain[series][kind] = stays

    def counts(self) -> dict[Series, Counts]:
        return {
            series: Counts(
                plain.get("entered", 0),
                tuple(sorted(self._ages.get(series, ()))),
                plain.get("decided", 0),
                plain.get("dropped", 0),
            )
            for series in self._plain.keys() | self._ages.keys()
            for plain in [self._plain.get(series, {})]
        }
