"""The figures that commands show, asked exactly as they are now: the funnel, the newest drop-offs, the commonest next steps.

All of them count journeys by the definition that they belong to and, where `since` is given (ms UTC), by their start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sinks.reader import Reader

_DEFINITIONS = """
SELECT definition, max(journeys) AS found
FROM
(
    SELECT definition, 0 AS journeys FROM v_stages
    UNION ALL
    SELECT definition, count() FROM v_journeys GROUP BY definition
)
GROUP BY definition ORDER BY found DESC, definition
"""
_FUNNEL = """
SELECT
    stage, named.name, entered, moved_on, dropped_off, recovered, decided
FROM (SELECT stage, name FROM v_stages WHERE definition = {definition:String}) AS named
LEFT JOIN
(
    SELECT
        stage, count() AS entered, countIf(journey_stages.moved_on) AS moved_on,
        countIf(journey_stages.dropped_off) AS dropped_off, countIf(journey_stages.recovered) AS recovered,
        countIf(journey_stages.moved_on OR journey_stages.dropped_off OR journey_stages.recovered) AS decided
    FROM journey_stages
    WHERE generation = (SELECT generation FROM live_generation) AND definition = {definition:String}
        AND started_at >= fromUnixTimestamp64Milli({since:Int64})
        AND ({channel:String} = '' OR entry_channel = {channel:String})
    GROUP BY stage
) AS counted USING (stage)
ORDER BY stage
"""
# A stay begins when a stage is entered from another one and ends when the next stage is entered; the last one has no end yet.
_STAYS = """
SELECT stage, toInt64(quantileTDigest(0.5)(milliseconds))
FROM
(
    SELECT
        path_stage, path_time,
        arrayFilter((step, rank) -> rank > 0, arrayEnumerate(path_stage), path_stage) AS staged,
        arrayFilter((step, place) -> place = 1 OR path_stage[step] != path_stage[staged[place - 1]],
            staged, arrayEnumerate(staged)) AS entries
    FROM v_journeys
    WHERE definition = {definition:String} AND started_at >= fromUnixTimestamp64Milli({since:Int64})
        AND ({channel:String} = '' OR entry_channel = {channel:String})
)
ARRAY JOIN
    arrayPopBack(arrayMap(step -> path_stage[step], entries)) AS stage,
    arrayMap((a, b) -> dateDiff('millisecond', path_time[a], path_time[b]),
        arrayPopBack(entries), arrayPopFront(entries)) AS milliseconds
GROUP BY stage
"""
_DROP_OFFS = """
SELECT
    person_id, toUnixTimestamp64Milli(due_at), stage, path_channel[-1], path_touchpoint[-1]
FROM journeys FINAL
WHERE generation = (SELECT generation FROM live_generation) AND definition = {definition:String} AND status != 'completed'
    AND due_at > toDateTime64(0, 3, 'UTC') AND due_at < now64(3, 'UTC')
ORDER BY due_at DESC LIMIT {limit:UInt16}
"""
_NAMES = """
SELECT person_id, argMin(identifier, NOT startsWith(identifier, 'customer_id:'))
FROM v_identities WHERE person_id IN {people:Array(UUID)} GROUP BY person_id
"""
_TRANSITIONS = """
SELECT touchpoint, next_touchpoint, sum(transitions) AS times
FROM v_daily_transitions WHERE definition = {definition:String}
GROUP BY touchpoint, next_touchpoint ORDER BY times DESC, touchpoint, next_touchpoint LIMIT {limit:UInt16}
"""
_ALERTS = """
SELECT journey, named.name, channel, measure, observed, expected, lost, toUnixTimestamp64Milli(since)
FROM v_alerts LEFT JOIN (SELECT definition AS journey, stage, name FROM v_stages) AS named USING (journey, stage)
WHERE status = 'open' ORDER BY lost DESC
"""
_REFUSED = """
SELECT count(), countIf(at >= now() - INTERVAL 10 MINUTE), topK(1)(reason) FROM v_dead_letters
"""


class StageFigures(NamedTuple):
    """Journeys at one stage; `decided` left it, reached the goal or fell silent, and is what the drop-off rate divides by."""

    rank: int
    name: str
    entered: int
    moved_on: int
    dropped_off: int
    recovered: int
    decided: int

    @property
    def still_open(self) -> int:
        return self.entered - self.moved_on - self.dropped_off


class DropOff(NamedTuple):
    """A journey that is silent beyond its patience; `at` (ms UTC) is the deadline that passed."""

    who: str
    at: int
    stage: int
    channel: str
    touchpoint: str


class Transition(NamedTuple):
    """A touchpoint, the one that follows it directly, and how often."""

    touchpoint: str
    next_touchpoint: str
    times: int


class OpenAlert(NamedTuple):
    """Something that is worse than usual: `observed` and `expected` are shares, `lost` customers, `since` ms UTC."""

    journey: str
    stage: str
    channel: str
    measure: str
    observed: float
    expected: float
    lost: float
    since: int


class Refused(NamedTuple):
    """Dead letters: all, those of the last ten minutes, and the commonest reason."""

    total: int
    recent: int
    reason: str


def definitions(reader: Reader) -> dict[str, int]:
    """Journey definition → number of its journeys, the largest first; also those that have none yet."""
    return dict(reader.ask(_DEFINITIONS).rows)


def funnel(reader: Reader, definition: str, since: int = 0, channel: str = "") -> list[StageFigures]:
    """Every stage of the definition, also those that nobody entered; `channel` is the entry channel, "" for all."""
    asked = {"definition": definition, "since": since, "channel": channel}
    return [StageFigures(*row) for row in reader.ask(_FUNNEL, asked).rows]


def median_stays(reader: Reader, definition: str, since: int = 0, channel: str = "") -> dict[int, int]:
    """Stage → median time from entering it to entering the next one, ms. Stays that have not ended are not among them."""
    return dict(reader.ask(_STAYS, {"definition": definition, "since": since, "channel": channel}).rows)


def newest_drop_offs(reader: Reader, definition: str, limit: int) -> list[DropOff]:
    """The latest deadlines that passed; who it is by an identifier that `desireline journeys` takes."""
    rows = reader.ask(_DROP_OFFS, {"definition": definition, "limit": limit}).rows
    names = dict(reader.ask(_NAMES, {"people": [row[0] for row in rows]}).rows) if rows else {}
    return [DropOff(str(names.get(person, person)), *rest) for person, *rest in rows]


def commonest_transitions(reader: Reader, definition: str, limit: int) -> list[Transition]:
    """What follows what most often. Prepared by the sink: seconds old."""
    return [Transition(*row) for row in reader.ask(_TRANSITIONS, {"definition": definition, "limit": limit}).rows]


def open_alerts(reader: Reader) -> list[OpenAlert]:
    """The alerts that are open, of every journey, the gravest first."""
    return [OpenAlert(*row) for row in reader.ask(_ALERTS).rows]


def refused(reader: Reader) -> Refused:
    """What was not accepted."""
    ((total, recent, reasons),) = reader.ask(_REFUSED).rows
    return Refused(total, recent, reasons[0] if reasons else "")
