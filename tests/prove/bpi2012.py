"""Prove the whole line on a real log: the BPI Challenge 2012 log, every way in, every figure exact, every digest the same.

    python -m tests.prove.bpi2012                  all runs; writes docs/evidence/bpi2012.json
    python -m tests.prove.bpi2012 --only import    one of: http, import, shuffled, phones; prints its report

`phones` keys what the call center did to a phone number, which only every other application carries: people and paths must be
those of the definition, and `verify` must find nothing.

Exit code 1 when a figure or a digest differs. Each run has an empty stack of its own.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from schemas.definition import Rules, load_definitions
from tests import bpi2012, expected
from tests.line import Line
from tests.prove import evidence
from tests.sender import Sender, batches

SEED = 2012
SETTLE_SECONDS = 400


def by_http(line: Line, log: Path, folder: Path) -> None:
    sender = Sender(line.url, line.write_key, batches(bpi2012.touchpoints(log), 500)).start()
    sender.wait(SETTLE_SECONDS)
    assert not sender.rejected, sender.rejected[:3]


def by_import(line: Line, log: Path, folder: Path) -> None:
    line.cli("import", str(log), "--map", str(bpi2012.MAP))


def shuffled(line: Line, log: Path, folder: Path) -> None:
    """What `--dry-run` wrote, in random order, with every tenth line doubled."""
    written, mixed = folder / "dry-run.jsonl.gz", folder / "shuffled.jsonl"
    line.cli("import", str(log), "--map", str(bpi2012.MAP), "--dry-run", "--out", str(written))
    lines = gzip.decompress(written.read_bytes()).splitlines(keepends=True)
    lines += lines[::10]
    random.Random(SEED).shuffle(lines)
    mixed.write_bytes(b"".join(lines))
    line.cli("import", str(mixed))


def again(line: Line, log: Path, folder: Path) -> None:
    """The shuffled file once more, into the stack that has it."""
    line.cli("import", str(folder / "shuffled.jsonl"))


def by_phone(line: Line, log: Path, folder: Path) -> None:
    sender = Sender(line.url, line.write_key, batches(rekeyed(log), 500)).start()
    sender.wait(SETTLE_SECONDS)
    assert not sender.rejected, sender.rejected[:3]


def rekeyed(log: Path) -> Iterator[dict[str, Any]]:
    """The log with calls that name a phone number only, and every other application that carries it too."""
    for touchpoint in bpi2012.touchpoints(log):
        customer = touchpoint["identifiers"]["customer_id"]
        phone = f"+31612{int(customer):06d}"
        if touchpoint["channel"] == "call_center":
            yield touchpoint | {"identifiers": {"phone": phone}}
        elif touchpoint["name"] == "A_SUBMITTED" and int(customer) % 2:
            yield touchpoint | {"identifiers": {"customer_id": customer, "phone": phone}}
        else:
            yield touchpoint


def by_definition(line: Line, log: Path) -> dict[str, Any]:
    """How the line's people and journeys differ from the batch definition's."""
    definition = load_definitions(bpi2012.DEFINITIONS)[0]
    raws = (json.dumps(touchpoint).encode() for touchpoint in rekeyed(log))
    stored = expected.stored(raws, bpi2012.SOURCE, int(time.time() * 1000))
    people = expected.people(stored, Rules([definition]))
    owned = Counter(person.hex for (person,) in line.rows("SELECT person_id FROM v_touchpoints"))
    rows = expected.journey_rows(people, definition, int(time.time() * 1000))
    differ = expected.differences(expected.journey_rows_in(line), rows)
    verified = json.loads(line.cli("verify", "--json"))
    return {
        "people": len(people),
        "people_that_differ": sum(owned[person] != len(events) for person, events in people.items())
        + len(owned.keys() - people.keys()),
        "journeys": len(rows),
        "journeys_that_differ": len(differ),
        "verify_differences": verified["total"],
        "verify_compared": verified["compared"],
    }


RUNS = {"http": (by_http,), "import": (by_import,), "shuffled": (shuffled, again), "phones": (by_phone,)}


def run(name: str, log: Path) -> list[dict[str, Any]]:
    """One stack; a report for each of its steps."""
    reports: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory(prefix="desireline-bpi2012-") as folder,
        Line(Path(folder), source=bpi2012.SOURCE, definitions=bpi2012.DEFINITIONS) as line,
    ):
        for step in RUNS[name]:
            began = time.monotonic()
            step(line, log, Path(folder))
            sent = time.monotonic()
            line.settle(SETTLE_SECONDS, revive=True)
            settled = time.monotonic()
            if step is by_phone:
                reports.append({"run": step.__name__, "by_definition": by_definition(line, log)})
                print(json.dumps(reports[-1]), flush=True)
                continue
            reports.append(
                {
                    "run": step.__name__,
                    "figures": bpi2012.figures_in(line),
                    "digests": line.digests(bpi2012.AS_OF),
                    "restarted_by_supervision": dict(line.restarts),
                    "dead_letters": line.rows("SELECT count() FROM v_dead_letters")[0][0],
                    "seconds_sending": round(sent - began, 1),
                    "seconds_until_settled": round(settled - began, 1),
                }
            )
            print(json.dumps(reports[-1], ensure_ascii=False), flush=True)
    return reports


_MUST_BE_ZERO = ("people_that_differ", "journeys_that_differ", "verify_differences")


def differences(reports: list[dict[str, Any]]) -> list[str]:
    """What is not as it must be, in words."""
    found = []
    for report in reports:
        if "by_definition" in report:
            found += [f"{report['run']}: {n}" for n in _MUST_BE_ZERO if report["by_definition"][n]]
            continue
        for name, count in bpi2012.EXPECTED.items():
            if report["figures"][name] != count:
                found.append(f"{report['run']}: {name} is {report['figures'][name]}, not {count}")
        if report["digests"] != reports[0]["digests"]:
            found.append(f"{report['run']}: digests differ from those of {reports[0]['run']}")
        if report["dead_letters"]:
            found.append(f"{report['run']}: {report['dead_letters']} dead letters")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.prove.bpi2012", description="Prove the line on a real log.")
    parser.add_argument("--only", choices=list(RUNS), help="one run; nothing is written")
    arguments = parser.parse_args()
    log = bpi2012.find()
    if log is None:
        print(f"skipped: {bpi2012.ABSENT}")
        return 0
    reports = [report for name in RUNS if arguments.only in (None, name) for report in run(name, log)]
    wrong = differences(reports)
    if not arguments.only:
        result = {**evidence.stamp(), "holds": not wrong, "expected": bpi2012.EXPECTED, "as_of": bpi2012.AS_OF}
        evidence.write("bpi2012", {**result, "shuffle_seed": SEED, "runs": reports, "differences": wrong})
    print("\n".join(wrong) or "every figure and every digest is as it must be", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
