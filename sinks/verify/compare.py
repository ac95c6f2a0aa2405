"""Expected against live, both in the order of their keys; what differs is a value. Pure, in memory is one key at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from math import isclose
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from schemas.person import FoldRecord
from sinks.verify.figures import DAY, HOUR, ROLLUPS, Group
from sinks.verify.store import Owned

What = Literal["missing", "extra", "differs"]
Scope = Callable[[str], bool]  # is this person (32 hex digits) to be compared?
E = TypeVar("E")
L = TypeVar("L")
UNEXPLAINED = "unexplained"
TWO_HOMES = "same id at revision 0 with other identifiers"
_SILENCES = ("drop_off_at", "drop_off_stage", "drop_off_step", "recovered_at")


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it must be; `column` with `live` and `expected` where rows differ in it."""

    table: str
    key: str
    what: What
    column: str = ""
    live: Any = None
    expected: Any = None
    people: tuple[str, ...] = ()  # whose it is, expected and live
    cause: str = UNEXPLAINED
    at: int = field(default=0, compare=False, repr=False)  # when the journey began, or the outcome happened, ms UTC

    @property
    def place(self) -> tuple[str, str]:
        """Where it is; one place may differ in several columns."""
        return self.table, self.key


class LiveOwned(NamedTuple):
    """A live row of person_touchpoints. Version: revision << 32 | move."""

    event: str
    person: str
    version: int
    record: FoldRecord


def side_by_side(
    expected: Iterable[E], live: Iterable[L], of_expected: Callable[[E], str], of_live: Callable[[L], str]
) -> Iterator[tuple[str, list[E], list[L]]]:
    """Both sides by key. Each comes in the order of its keys, and may have several of one."""
    left, right = groupby(expected, of_expected), groupby(live, of_live)
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one[0] < other[0]):
            assert one is not None
            yield one[0], list(one[1]), []
            one = next(left, None)
        elif one is None or other[0] < one[0]:
            yield other[0], [], list(other[1])
            other = next(right, None)
        else:
            yield one[0], list(one[1]), list(other[1])
            one, other = next(left, None), next(right, None)


def owners(
    expected: Iterable[Owned], live: Iterable[LiveOwned], scope: Scope, counts: Counter[str]
) -> Iterator[Difference]:
    """Whose each touchpoint is and what journeys are told of it. Both in the order of event ids."""
    table = "person_touchpoints"
    for event, wanted, found in side_by_side(expected, live, lambda one: one.event, lambda one: one.event):
        people = tuple(dict.fromkeys([one.person for one in wanted] + [one.person for one in found]))
        must = wanted[0] if wanted else None
        mine = next((row for row in found if must and row.person == must.person), None)
        counts["owners expected"] += must is not None
        counts["owners found"] += bool(found)
        counts["owners right"] += mine is not None
        counts["rules differ"] += bool(must and mine and must.record.rules != mine.record.rules)
        if not any(map(scope, people)):
            continue
        counts[table] += 1
        others = [row for row in found if row is not mine]
        if must is not None and mine is not None:
            for name, value, wants in _fields(mine.record, must.record):
                yield Difference(table, event, "differs", name, value, wants, people)
        elif must is not None and others:
            yield Difference(table, event, "differs", "person_id", others.pop(0).person, must.person, people)
        elif must is not None:
            yield Difference(table, event, "missing", "person_id", None, must.person, people)
        for row in others:
            # One home never gives a touchpoint to two people by the same move: it is at home in two.
            twice = any(one is not row and one.version == row.version < 1 << 32 for one in found)
            cause = TWO_HOMES if twice else UNEXPLAINED
            yield Difference(table, event, "extra", "person_id", row.person, None, people, cause)


def _fields(found: FoldRecord, wanted: FoldRecord) -> Iterator[tuple[str, Any, Any]]:
    if found != wanted:
        must = msgspec.structs.asdict(wanted)
        for name, value in msgspec.structs.asdict(found).items():
            if value != must[name]:
                yield name, value, must[name]


Identifier = tuple[str, str, bool]  # identifier, person, shared


def identities(
    expected: Iterable[Identifier], live: Iterable[Identifier], scope: Scope, counts: Counter[str]
) -> Iterator[Difference]:
    """Whose each identifier is. Rows of others are left alone: what is corrected away keeps its identifiers there."""
    table = "identities"
    for identifier, wanted, found in side_by_side(expected, live, lambda one: one[0], lambda one: one[0]):
        people = tuple(dict.fromkeys(one[1] for one in (*wanted, *found)))
        if not wanted or not any(map(scope, people)):
            continue
        counts[table] += 1
        _, person, shared = wanted[0]
        if not found:
            yield Difference(table, identifier, "missing", "person_id", None, person, people)
        for _, is_person, is_shared in found:
            if is_person != person:
                yield Difference(table, identifier, "differs", "person_id", is_person, person, people)
            if is_shared != shared:
                yield Difference(table, identifier, "differs", "shared", is_shared, shared, people)


Row = Mapping[str, Any]


def journeys(
    expected: Iterable[Row], live: Iterable[Row], as_of: int, scope: Scope, counts: Counter[str]
) -> Iterator[Difference]:
    """Journeys column by column, as at `as_of`. Both in the order of their ids."""
    table = "journeys"
    for ident, wanted, found in side_by_side(expected, live, _journey_id, _journey_id):
        people = tuple(dict.fromkeys(one["person_id"] for one in (*wanted, *found)))
        if not any(map(scope, people)):
            continue
        counts[table] += 1
        if not found:
            yield Difference(
                table, ident, "missing", "", None, _in_short(wanted[0]), people, at=wanted[0]["started_at"]
            )
        for row in found[len(wanted) :]:
            yield Difference(table, ident, "extra", "", _in_short(row), None, people, at=row["started_at"])
        for one, row in zip(wanted, found, strict=False):
            counts["journeys found"] += 1
            must, said = comparable(one, as_of), comparable(row, as_of)
            for name, value in must.items():
                if not _equal(said[name], value):
                    yield Difference(table, ident, "differs", name, said[name], value, people, at=row["started_at"])


def _journey_id(row: Row) -> str:
    return str(row["journey_id"])


def _in_short(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("person_id", "definition", "started_at", "status", "touchpoints")}


def comparable(row: Row, as_of: int) -> dict[str, Any]:
    """A row as at `as_of`, whenever it was written: the status is told by the deadline, a silence that lasts is left out."""
    ended = sum(1 for at in row["recovered_at"] if at)
    status = "recovered" if ended else "open"
    if row["status"] == "completed":
        status = "completed"
    elif 0 < row["due_at"] < as_of:
        status = "dropped_off"
    return {**row, **{name: row[name][:ended] for name in _SILENCES}, "status": status}


def _equal(found: Any, wanted: Any) -> bool:
    """JSON does not tell 1.0 from 1; and the one score that is a fraction is computed in its own way."""
    if isinstance(found, float) or isinstance(wanted, float):
        return found is not None and wanted is not None and isclose(found, wanted, abs_tol=1e-9)
    return bool(found == wanted)


def outcomes(expected: Iterable[Row], live: Iterable[Row], scope: Scope, counts: Counter[str]) -> Iterator[Difference]:
    """What happened to journeys, column by column. Both in the order of their ids."""
    table = "outcomes"
    for ident, wanted, found in side_by_side(expected, live, _outcome_id, _outcome_id):
        people = tuple(dict.fromkeys(one["person_id"] for one in (*wanted, *found)))
        if not any(map(scope, people)):
            continue
        if wanted and not found and wanted[0]["may_wait"]:
            counts["drop-offs not told yet"] += 1
            continue
        counts[table] += 1
        if not found:
            yield Difference(table, ident, "missing", "", None, _happened(wanted[0]), people, at=wanted[0]["at"])
        for row in found[len(wanted) :]:
            yield Difference(table, ident, "extra", "", _happened(row), None, people, at=row["at"])
        for one, row in zip(wanted, found, strict=False):
            for name, value in row.items():
                if value != one[name]:
                    yield Difference(table, ident, "differs", name, value, one[name], people, at=row["at"])


def _outcome_id(row: Row) -> str:
    return str(row["outcome_id"])


def _happened(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("person_id", "definition", "kind", "at", "stage")}


Bucket = tuple[str, int]  # definition, hour of start (s since 1970)


def buckets(hours: Collection[Bucket], hourly: bool) -> set[Bucket]:
    """The hours, or the days (since 1970) that they lie in."""
    return set(hours) if hourly else {(definition, hour * 1000 // DAY) for definition, hour in hours}


def hour_of(row: Row) -> Bucket:
    """The bucket of a journey."""
    return row["definition"], row["started_at"] // HOUR * HOUR // 1000


def figures(
    table: str,
    expected: Mapping[Group, tuple[int, ...]],
    live: Mapping[Group, tuple[int, ...]],
    moving: Collection[Bucket],
    counts: Counter[str],
) -> Iterator[Difference]:
    """One rollup, but for the hours that are `moving`. `live` without groups that are 0."""
    names = ROLLUPS[table].counts
    left_out = buckets(moving, ROLLUPS[table].hourly)
    for group in sorted(expected.keys() | live.keys(), key=repr):
        if group[:2] in left_out:
            counts["figures not compared"] += 1
            continue
        counts[table] += 1
        key = "/".join(map(str, group))
        if group not in live:
            yield Difference(table, key, "missing", "", None, dict(zip(names, expected[group], strict=True)))
        elif group not in expected:
            yield Difference(table, key, "extra", "", dict(zip(names, live[group], strict=True)), None)
        else:
            for name, value, must in zip(names, live[group], expected[group], strict=True):
                if value != must:
                    yield Difference(table, key, "differs", name, value, must)
