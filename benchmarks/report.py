"""Writes RESULTS.md: what DESIGN asks for, what was measured, on what and when, from the files in `results/`.

python -m benchmarks.report
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.common import RESULTS

PAGE = Path(__file__).with_name("RESULTS.md")
HEAD = """\
# Benchmarks

Written by `python -m benchmarks.report` from the newest run of each benchmark in `results/`. "Per core" is per second of CPU
time (user and system) of the measured process. Ratios are against a peer in the same run. Every run states the load of the
machine before it began (1-minute average): above about 0.5 other work ran beside it, which raises CPU time and latency; "ahead
of it" means that the measured processes came first (a niceness below 0).

| what | target | measured | reached | partitions | command | machine | date |
|---|---|---|---|---|---|---|---|
"""


class Row(NamedTuple):
    """One line of the table: a value out of a result's JSON, and what it should be."""

    benchmark: str
    what: str
    path: str  # keys into the JSON, by dots
    target: float
    at_most: bool = False
    unit: str = ""

    def reached(self, value: float) -> bool:
        return value <= self.target if self.at_most else value >= self.target


ROWS = (
    Row("stitch", "stitch leg, Kafka to Kafka, touchpoints/s per core", "touchpoints_per_second_per_core", 90_000),
    Row("stitch", "… times Faust as documented with a table", "times_faust_table", 15),
    Row("stitch", "… times Quix Streams' bare keyed count", "times_quix_count", 1.5),
    Row("line", "both legs, touchpoints/s per core", "both_legs.touchpoints_per_second_per_core", 30_000),
    Row(
        "line", "import to ClickHouse, all on this machine, touchpoints/s", "whole_line.touchpoints_per_second", 20_000
    ),
    Row("latency", "HTTP 200 to journey in a query, p50", "seconds_p50", 0.6, at_most=True, unit=" s"),
    Row("latency", "… p99", "seconds_p99", 1.5, at_most=True, unit=" s"),
    Row("merges", "HTTP 200 to two customers being one in the views, p99", "merge.seconds.p99", 2, True, " s"),
    Row("merges", "… to a device being its customer's who signed in, p99", "sign_in.seconds.p99", 2, True, " s"),
    Row("merges", "… to the journey of a first contact, p99", "first_contact.seconds.p99", 2, True, " s"),
    Row("dropoff", "deadline to drop-off in ClickHouse, p50", "in_clickhouse_seconds.p50", 1.5, True, " s"),
    Row("dropoff", "… p99", "in_clickhouse_seconds.p99", 3, True, " s"),
    Row("dropoff", "… on the topic, p99", "on_topic_seconds.p99", 3, True, " s"),
    Row(
        "dropoff",
        "late touchpoint to retraction in ClickHouse, p99",
        "retraction_in_clickhouse_seconds.p99",
        3,
        True,
        " s",
    ),
    Row("lookup", "lookup beside 2,000 touchpoints/s, p99", "milliseconds_p99", 20, True, " ms"),
    Row("collector", "collector, batches of 20, touchpoints/s per core", "touchpoints_per_second_per_core", 30_000),
    Row("takeover", "all partitions flow after kill -9, longest", "seconds_max", 10, at_most=True, unit=" s"),
    Row("takeover", "… touchpoints lost", "lost", 0, at_most=True),
    Row("state", "state of stitch, bytes per touchpoint", "bytes_per_touchpoint_stitch", 60, at_most=True),
    Row("state", "state of identity, bytes per touchpoint", "bytes_per_touchpoint_identity", 90, at_most=True),
    Row("state", "restart with 1 M people", "restart.seconds", 30, at_most=True, unit=" s"),
    Row("state", "growth of cost, 1 M to 20 M touchpoints", "growth_of_cost", 0.2, at_most=True),
)


def line(row: Row, result: dict[str, Any]) -> str:
    value: Any = result
    for key in row.path.split("."):
        value = value[key]
    machine = result["machine"]
    cells = (
        row.what,
        f"{'≤' if row.at_most else '≥'} {row.target:,}{row.unit}",
        f"{value:,}{row.unit}" if value is not None else "not measured",
        "" if value is None else "yes" if row.reached(value) else "**no**",
        result["partitions"],
        f"`{result['command']}`",
        f"{machine['cores']} × {machine['cpu']}, load {machine.get('load', 'not recorded')}{ahead(machine)}",
        result.get("date", "not recorded"),
    )
    return "| " + " | ".join(str(cell) for cell in cells) + " |\n"


def ahead(machine: dict[str, Any]) -> str:
    return ", ahead of it" if machine.get("niceness", 0) < 0 else ""


def table(load: Callable[[str], dict[str, Any] | None]) -> str:
    """The rows of what has been measured."""
    lines = []
    for row in ROWS:
        result = load(row.benchmark)
        lines.append(line(row, result) if result else f"| {row.what} | | not measured | | | | | |\n")
    return "".join(lines)


def kept(benchmark: str) -> dict[str, Any] | None:
    file = RESULTS / f"{benchmark}.json"
    return json.loads(file.read_text()) if file.exists() else None


def main() -> None:
    PAGE.write_text(HEAD + table(kept), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
