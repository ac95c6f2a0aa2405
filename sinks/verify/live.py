"""The live tables as `compare` takes them: in the order of their keys, as they come from ClickHouse."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec

from schemas.journey import Journey
from schemas.outcome import Outcome
from schemas.person import FoldRecord
from sinks.queries import query
from sinks.reader import Reader
from sinks.verify.compare import Bucket, Identifier, LiveOwned
from sinks.verify.figures import ROLLUPS, Group
from sinks.verify.late import CameLate, Lateness

COLUMNS = [name for name in Journey.__struct_fields__ if name not in ("arrived_at", "version", "is_deleted")]
OUTCOME_COLUMNS = [name for name in Outcome.__struct_fields__ if name not in ("historical", "retracted", "version")]
IDS_AT_ONCE = 1_000
LIVE = "generation = (SELECT generation FROM live_generation)"
_decode = msgspec.json.Decoder().decode


def owners(reader: Reader) -> Iterator[LiveOwned]:
    """Rows of person_touchpoints by event."""
    for event, person, version, at, channel, name, rules, *rest in reader.stream(query("verify_person_touchpoints")):
        yield LiveOwned(event, person, version, FoldRecord(at, channel, name, list(rules), *rest))


def late(reader: Reader) -> Lateness:
    """What came after the horizon of its customer."""
    return Lateness(CameLate._make(row) for row in reader.stream(query("verify_late")))


def identities(reader: Reader) -> Iterator[Identifier]:
    """Rows of identities by identifier."""
    for identifier, person, shared in reader.stream(query("verify_identities")):
        yield identifier, person, bool(shared)


def journeys(reader: Reader, people: Collection[str]) -> Iterator[dict[str, Any]]:
    """Journeys of these people (none: of all) by their ids."""
    for _, row in reader.stream(query("verify_journeys"), {"people": list(people)}):
        yield dict(zip(COLUMNS, _decode(row), strict=True))


def outcomes(reader: Reader, as_of: int) -> Iterator[dict[str, Any]]:
    """What had happened before `as_of` (ms UTC), by id."""
    for row in reader.stream(query("verify_outcomes"), {"as_of": as_of}):
        yield dict(zip(OUTCOME_COLUMNS, row, strict=True))


def figures(reader: Reader, table: str) -> dict[Group, tuple[int, ...]]:
    """One rollup: counts by group, without the groups of which nothing is left."""
    rollup = ROLLUPS[table]
    definition, bucket, *groups = rollup.groups
    start = "toUnixTimestamp(hour)" if rollup.hourly else "toUInt32(day)"
    columns = ", ".join((definition, f"{start} AS start_of_{bucket}", *groups, *rollup.counts))
    sql = f"SELECT {columns} FROM {table} FINAL WHERE {LIVE} AND {rollup.counts[0]} > 0"  # noqa: S608 - names of our own
    size = len(rollup.groups)
    return {tuple(map(_plain, row[:size])): tuple(row[size:]) for row in reader.stream(sql)}


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def moving(reader: Reader, since: int) -> set[Bucket]:
    """Hours whose figures are not refreshed, or were rewritten since `since` (μs, the server's time)."""
    return set(reader.stream(query("verify_dirty"), {"since": since}))  # type: ignore[arg-type]  # rows of two


def stages(reader: Reader) -> dict[tuple[str, int], tuple[str, int, bool]]:
    """What the sink was told of the definitions: name, patience in ms, is it the goal; by definition and rank."""
    rows = reader.ask("SELECT definition, stage, name, patience_ms, is_goal FROM v_stages").rows
    return {(definition, rank): (name, patience, bool(goal)) for definition, rank, name, patience, goal in rows}


def server_time(reader: Reader) -> int:
    """μs UTC."""
    return int(reader.ask("SELECT toUnixTimestamp64Micro(now64(6, 'UTC'))").rows[0][0])


def changed_people(reader: Reader, people: Iterable[str], after: int) -> set[str]:
    """Of these people, who gained or lost a touchpoint by something that arrived after `after`, ms UTC."""
    sql = (
        "SELECT lower(hex(UUIDToNum(person_id))) FROM person_touchpoints "
        "WHERE generation = (SELECT generation FROM live_generation) AND has({ids:Array(UUID)}, person_id) "
        "GROUP BY person_id HAVING max(toUnixTimestamp64Milli(arrived_at)) > {after:Int64}"
    )
    return _of(reader, people, sql, after=after)


def with_two_homes(reader: Reader, events: Iterable[str]) -> set[str]:
    """Of these events, which came at revision 0 with different addresses, as far as their rows are still kept."""
    sql = (
        "SELECT lower(hex(UUIDToNum(event_id))) FROM touchpoints WHERE has({ids:Array(UUID)}, event_id) "
        "AND revision = 0 GROUP BY event_id HAVING uniqExact(address) > 1"
    )
    return _of(reader, events, sql)


def _of(reader: Reader, ids: Iterable[str], sql: str, **parameters: Any) -> set[str]:
    """Which of the ids a query tells, asked some at a time: a query has a largest size."""
    left, found = iter(ids), set[str]()
    while some := list(islice(left, IDS_AT_ONCE)):
        found.update(one for (one,) in reader.ask(sql, {"ids": some, **parameters}).rows)
    return found
