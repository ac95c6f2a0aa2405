"""The generations of people and journeys in ClickHouse: which is live, making one live, what one holds, taking one away."""

from __future__ import annotations

from typing import Any, NamedTuple

from sinks.queries import query
from sinks.reader import Reader

# Every table whose rows belong to a generation; of the figures made from them the rows go with it too.
TABLES = (
    "person_touchpoints",
    "identities",
    "journeys",
    "journeys_by_person",
    "outcomes",
    "late",
    "stages",
    "dirty_hours",
    "rollup_funnel",
    "rollup_transitions",
    "rollup_steps",
    "rollup_touchpoints",
    "rollup_channel_paths",
    "pain_points",
)
COMPARED = {"person_touchpoints": 2, "identities": 1, "journeys": 1}  # → columns that name a row, first in its digest


class Differing(NamedTuple):
    """Rows that both generations have alike, that only one has, that only the other has, that both have with other content."""

    alike: int
    only_one: int
    only_other: int
    otherwise: int

    @property
    def apart(self) -> int:
        """All but those that are alike."""
        return self.only_one + self.only_other + self.otherwise


def live(reader: Reader) -> int:
    """The generation that every view shows. Raises the driver's errors."""
    return int(reader.ask("SELECT generation FROM live_generation").rows[0][0])


def highest(reader: Reader) -> int:
    """The highest number that any generation ever had: the ledger keeps those that are gone. Raises the driver's errors."""
    sql = "SELECT max(generation) FROM (SELECT generation FROM ledger UNION ALL SELECT generation FROM generations)"
    return int(reader.ask(sql).rows[0][0])


def swap(client: Any, generation: int) -> None:
    """Make it the live one, for every query that begins from now on. Raises the driver's errors."""
    client.execute(query("swap_generation"), {"generation": generation})


def rows(reader: Reader, generation: int) -> dict[str, int]:
    """Live rows of the tables that are compared. Raises the driver's errors."""
    sql = "SELECT count() FROM {table} FINAL WHERE generation = {{generation:UInt16}}"
    return {
        table: int(reader.ask(sql.format(table=table), {"generation": generation}).rows[0][0]) for table in COMPARED
    }


def server_time(reader: Reader) -> int:
    """μs UTC. Raises the driver's errors."""
    return int(reader.ask("SELECT toUnixTimestamp64Micro(now64(6, 'UTC'))").rows[0][0])


def unrefreshed(reader: Reader, generation: int, before: int) -> int:
    """Hours of the generation that were rewritten before then (μs, the server's time) and not refreshed since.

    0 as well where nothing is ever refreshed. Raises the driver's errors.
    """
    return int(reader.ask(query("unrefreshed"), {"generation": generation, "before": before}).rows[0][0])


def differing(reader: Reader, table: str, one: int, other: int, as_of: int) -> Differing:
    """How the rows of a table of COMPARED differ, as digests see them; `as_of` in ms UTC. Raises the driver's errors."""
    text = query(f"digest_{table}").partition("ORDER BY")[0]
    key = " || ".join(f"JSONExtractRaw(line, {place})" for place in range(1, COMPARED[table] + 1))
    sides = (
        f"SELECT {key} AS key, sipHash64(line) AS content, '{side}' AS side"  # noqa: S608 - texts of ours
        f" FROM ({text.replace('{generation:UInt16}', f'{{{side}:UInt16}}')})"
        for side in ("one", "other")
    )
    parameters = {"one": one, "other": other} | ({"as_of": as_of} if table == "journeys" else {})
    return Differing(*reader.ask(query("differing").replace("<rows>", " UNION ALL ".join(sides)), parameters).rows[0])


def leftover(reader: Reader, one: int, other: int) -> int:
    """How many of the identifiers that differ are carried by no touchpoint any more. Raises the driver's errors."""
    return int(reader.ask(query("leftover_identities"), {"one": one, "other": other}).rows[0][0])


def drop(client: Any, generation: int) -> int:
    """Delete its rows for good; how many there were. To be repeated until it answers 0: the sink may just write some."""
    found = 0
    for table in TABLES:
        given = {"generation": generation}
        count = client.execute(f"SELECT count() FROM {table} WHERE generation = %(generation)s", given)[0][0]  # noqa: S608
        if count:
            where = "generation = %(generation)s SETTINGS mutations_sync = 2"
            client.execute(f"ALTER TABLE {table} DELETE WHERE {where}", given)
        found += int(count)
    return found
