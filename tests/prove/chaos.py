"""Prove that the whole line forgets and doubles nothing, whatever is killed.

    python -m tests.prove.chaos --seeds 1-3               every seed not yet proved for this code; docs/evidence/chaos.json
    python -m tests.prove.chaos --seeds 1 --cases 2000    on the first cases of the log; prints the report, writes nothing

Two workers; the BPI 2012 log (without it the simulated company) goes to the collector, throttled so that it outlasts all
faults. The figures and digests must be those of an undisturbed run. Exit code 1 when anything differs.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.simulator.scenario import Scenario
from ingest.simulator.simulation import simulate
from schemas.definition import DEFAULT_FILE
from tests import bpi2012
from tests.line import Line
from tests.prove import evidence
from tests.prove.chunked.__main__ import seeds
from tests.prove.faults import Faults
from tests.sender import Sender, batches

PARTITIONS = 8
FLOW_SECONDS = 500.0  # how long the throttled input lasts; the faults take about 400 on two free cores
SETTLE_SECONDS = 240.0
BATCH = 20


@dataclass(frozen=True)
class Input:
    """What is sent, and the figures that it must give, where they are known."""

    name: str
    source: str
    definitions: Path
    touchpoints: Sequence[dict[str, Any]]
    figures: dict[str, int] | None


def bpi_log(log: Path, cases: int | None) -> Input:
    if cases is None:
        return Input("bpi2012", bpi2012.SOURCE, bpi2012.DEFINITIONS, list(bpi2012.touchpoints(log)), bpi2012.EXPECTED)
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "part.csv"
        part.write_bytes(bpi2012.first_cases(log, cases))
        name = f"bpi2012, first {cases} cases"
        return Input(
            name, bpi2012.SOURCE, bpi2012.DEFINITIONS, list(bpi2012.touchpoints(part)), bpi2012.figures_of(part)
        )


def company() -> Input:
    scenario = Scenario(seed=1, customers=3_000, duplicates=0.05, late=0.05, corrections=0.05)
    sent = [json.loads(arrival.touchpoint) for arrival in simulate(scenario)]
    return Input("vivan_los_tacos, 3,000 customers", "vivan_los_tacos", DEFAULT_FILE, sent, None)


def outcome(line: Line, given: Input) -> dict[str, Any]:
    """What must be the same with and without faults."""
    found: dict[str, Any] = {"digests": line.digests(bpi2012.AS_OF)}
    if given.figures is not None:
        found["figures"] = bpi2012.figures_in(line)
    return found


def undisturbed(given: Input) -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory(prefix="desireline-calm-") as folder,
        Line(Path(folder), source=given.source, definitions=given.definitions, partitions=PARTITIONS) as line,
    ):
        Sender(line.url, line.write_key, batches(given.touchpoints, 500)).start().wait(SETTLE_SECONDS)
        line.settle(SETTLE_SECONDS, revive=True)
        return outcome(line, given)


def disturbed(given: Input, seed: int) -> dict[str, Any]:
    """One seed: its faults, and what the line holds afterwards."""
    chance = random.Random(seed)
    order = list(given.touchpoints)
    if given.figures is not None:  # each event comes once, so any order may be sent
        order = [t for _, t in sorted(enumerate(order), key=lambda place: place[0] + chance.uniform(0, 1_000))]
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix=f"desireline-chaos-{seed}-") as folder,
        Line(
            Path(folder), source=given.source, definitions=given.definitions, workers=2, partitions=PARTITIONS
        ) as line,
    ):
        sender = Sender(line.url, line.write_key, batches(order, BATCH), rate=len(order) / FLOW_SECONDS).start()
        faults = Faults(line, sender, chance)
        try:
            faults.run()
            outlasted = sender.running
            sender.rate = None
            faults.finish_sending(SETTLE_SECONDS)
            line.settle(SETTLE_SECONDS, revive=True)
            found = outcome(line, given)
        except Exception:
            print(json.dumps(faults.log[-3:]), file=sys.stderr)
            raise
        return {
            "seed": seed,
            **found,
            "input_outlasted_the_faults": outlasted,
            "touchpoints_acknowledged": sender.acknowledged,
            "answers": dict(sender.answers),
            "rejected": len(sender.rejected),
            "restarted_by_supervision": dict(line.restarts),
            "dead_letters": line.rows("SELECT count() FROM v_dead_letters")[0][0],
            "seconds": round(time.monotonic() - began),
            "faults": faults.log,
        }


def differences(report: dict[str, Any], calm: dict[str, Any], given: Input) -> list[str]:
    """What is not as without faults."""
    found = [
        f"digest of {table}: {value} instead of {calm['digests'][table]}"
        for table, value in report["digests"].items()
        if value != calm["digests"][table]
    ]
    for name, value in (given.figures or {}).items():
        if report["figures"][name] != value:
            found.append(f"{name}: {report['figures'][name]} instead of {value}")
    if not report["input_outlasted_the_faults"]:
        found.append("the input was over before the faults: nothing was proved by the last ones")
    if report["rejected"] or (report["dead_letters"] and given.figures is not None):
        found.append(f"{report['rejected']} touchpoints were rejected, {report['dead_letters']} are dead letters")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.prove.chaos", description=__doc__)
    parser.add_argument("--seeds", type=seeds, default=seeds("1-3"), help="for example 1-3 or 2,5")
    parser.add_argument("--cases", type=int, help="only the first so many cases of the log; nothing is written")
    arguments = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the broker is away on purpose
    log = bpi2012.find()
    given = company() if log is None else bpi_log(log, arguments.cases)
    stamp = evidence.stamp()
    before = evidence.read("chaos") if arguments.cases is None else {}
    if (before.get("commit"), before.get("input")) != (stamp["commit"], given.name):
        before = {**stamp, "input": given.name, "undisturbed": undisturbed(given), "seeds": []}
    reports = before["seeds"]
    failed = False
    for seed in arguments.seeds:
        if any(report["seed"] == seed and not report["differences"] for report in reports):
            continue
        report = disturbed(given, seed)
        report["differences"] = differences(report, before["undisturbed"], given)
        failed |= bool(report["differences"])
        print(json.dumps(report, ensure_ascii=False), flush=True)
        reports = [*(known for known in reports if known["seed"] != seed), report]
        if arguments.cases is None:
            evidence.write("chaos", {**before, "seeds": sorted(reports, key=lambda known: int(known["seed"]))})
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
