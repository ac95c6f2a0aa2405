"""The BPI Challenge 2012 log (doi:10.4121/uuid:3926db30-f712-4394-aebc-75976070e91f): where it is, what it must give.

A Dutch bank's loan applications: what customers saw online and what its call center did. It is not part of this repository:
`DESIRELINE_BPI2012` names the file, or it lies in `../shared/data/` beside the checkout.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from ingest.channels.files import File
from ingest.importing import MappedRows, reader
from ingest.map import load_map
from ingest.rejected import Rejected
from tests.line import Line

ROOT = Path(__file__).parents[1]
MAP = ROOT / "examples" / "maps" / "bpi2012.yaml"
DEFINITIONS = ROOT / "examples" / "definitions" / "bpi2012.yaml"
SOURCE = "bpi2012"
AS_OF = 1_767_225_600_000  # 2026-01-01: every deadline of the log is past
ABSENT = "the BPI 2012 log is not here: set DESIRELINE_BPI2012 to its CSV, or put it at ../shared/data/bpi2012.csv.gz"

FOLLOWS = {
    "A_SUBMITTED → A_PARTLYSUBMITTED": ("A_SUBMITTED", "A_PARTLYSUBMITTED"),
    "W_Completeren aanvraag → itself": ("W_Completeren aanvraag", "W_Completeren aanvraag"),
    "O_SENT → W_Nabellen offertes": ("O_SENT", "W_Nabellen offertes"),
}
WITH = ("A_APPROVED", "A_DECLINED", "A_CANCELLED")
# As process mining tools count them in the whole log.
EXPECTED = {
    "touchpoints": 262_200,
    "customers": 13_087,
    "journeys": 13_087,
    "distinct activity paths": 4_366,
    "A_SUBMITTED → A_PARTLYSUBMITTED": 13_087,
    "W_Completeren aanvraag → itself": 38_004,
    "O_SENT → W_Nabellen offertes": 6_633,
    "customers with A_APPROVED": 2_246,
    "customers with A_DECLINED": 7_635,
    "customers with A_CANCELLED": 2_807,
}


def find() -> Path | None:
    """The file, if it is here."""
    named = os.environ.get("DESIRELINE_BPI2012")
    candidates = [Path(named)] if named else [ROOT.parent / "shared" / "data" / "bpi2012.csv.gz"]
    return next((path for path in candidates if path.is_file()), None)


def first_cases(path: Path, cases: int) -> bytes:
    """The rows of the first `cases` applications, as CSV with its header."""
    with _text(path) as lines:
        rows = csv.reader(lines)
        kept: dict[str, None] = {}
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(next(rows))
        for row in rows:
            if row[0] in kept or len(kept) < cases:
                kept[row[0]] = None
                writer.writerow(row)
    return text.getvalue().encode()


def figures_of(path: Path) -> dict[str, int]:
    """The figures of a file of this form, counted in the plainest way: sort each case by time, keep the file's order."""
    with _text(path) as lines:
        cases: dict[str, list[tuple[datetime, str]]] = {}
        for row in csv.DictReader(lines):
            cases.setdefault(row["case_id"], []).append((datetime.fromisoformat(row["timestamp"]), row["activity"]))
    paths = [[name for _, name in sorted(case, key=lambda event: event[0])] for case in cases.values()]
    follows = Counter(pair for path in paths for pair in pairwise(path))
    return {
        "touchpoints": sum(map(len, paths)),
        "customers": len(paths),
        "journeys": len(paths),
        "distinct activity paths": len(set(map(tuple, paths))),
        **{name: follows[pair] for name, pair in FOLLOWS.items()},
        **{f"customers with {name}": sum(name in path for path in paths) for name in WITH},
    }


def figures_in(line: Line) -> dict[str, int]:
    """The same figures, from the views that analysts read."""

    def one(sql: str, **parameters: Any) -> int:
        return int(line.rows(sql, parameters)[0][0])

    follows = (
        "SELECT sum(transitions) FROM v_transitions WHERE touchpoint = {a:String} AND next_touchpoint = {b:String}"
    )
    return {
        "touchpoints": one("SELECT count() FROM v_touchpoint_facts"),
        "customers": one("SELECT uniqExact(person_id) FROM v_touchpoints"),
        "journeys": one("SELECT count() FROM v_journeys"),
        "distinct activity paths": one("SELECT uniqExact(path_touchpoint) FROM v_journeys"),
        **{name: one(follows, a=a, b=b) for name, (a, b) in FOLLOWS.items()},
        **{
            f"customers with {name}": one(
                "SELECT uniqExact(person_id) FROM v_touchpoints WHERE name = {n:String}", n=name
            )
            for name in WITH
        },
    }


def touchpoints(path: Path, limit: int | None = None) -> Iterator[dict[str, Any]]:
    """The file as a client would send it over HTTP: through the same map as `desireline import`."""
    rules = load_map(MAP)
    with closing(File(str(path), rules.format, rules.delimiter)) as opened:
        found, rows = reader(opened, opened.rows(), rules, None)
        assert isinstance(found, MappedRows)
        for row in islice(rows, limit):
            touchpoint = found.as_sent(row)
            assert touchpoint is not None, f"line {row.line} is left out"
            assert not isinstance(touchpoint, Rejected), f"line {row.line}: {touchpoint}"
            yield touchpoint


def _text(path: Path) -> Any:
    return gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="")
