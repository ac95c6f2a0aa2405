"""Prove that people and journeys of a whole week are right, whatever is killed and however it arrives.

    python -m tests.prove.week --undisturbed          the week in the order of time; its digests are the measure
    python -m tests.prove.week --seeds 1-3            shuffled by up to a day, with faults; every seed not yet proved
    python -m tests.prove.week --customers 500 ...    a smaller week; prints the report, writes nothing

50,000 simulated customers with sign-ins, kiosks, corrections, duplicates and an address that 30 customers share. Two workers,
`kill -9` or paused 20 times, Kafka and ClickHouse killed 3 times each, while touchpoints come in. Afterwards: digests as
undisturbed, `desireline verify` without a difference, the ledger balanced against what was sent. docs/evidence/week.json
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ingest.simulator.scenario import Scenario
from ingest.simulator.simulation import simulate
from tests.line import Line
from tests.prove import evidence
from tests.prove.chunked.__main__ import seeds
from tests.prove.faults import Faults
from tests.sender import Sender, batches

SOURCE = "vivan_los_tacos"
CUSTOMERS = 50_000
PARTITIONS = 8
AS_OF = 1_800_000_000_000  # ms UTC; behind every deadline of the week
FAULTS = {"worker": 17, "kafka": 3, "clickhouse": 3}  # kill -9
PAUSES = 3  # of a worker
FLOW_SECONDS = 560.0  # how long the throttled week lasts
SETTLE_SECONDS = 300.0
SHARED = 30  # customers who use one address


def week(customers: int) -> list[dict[str, Any]]:
    """All that is sent, duplicates included, in the order of time."""
    scenario = Scenario(seed=4, customers=customers, duplicates=0.03, corrections=0.05, shared_devices=0.2)
    sent = [json.loads(arrival.touchpoint) for arrival in simulate(scenario)]
    named = dict.fromkeys(t["identifiers"]["customer_id"] for t in sent if "customer_id" in t["identifiers"])
    sent += [
        {
            "event_id": f"shared-{number}",
            "channel": "web",
            "name": "newsletter_ordered",
            "occurred_at": sent[number]["occurred_at"],
            "identifiers": {"customer_id": customer, "email": "info@example.org"},
        }
        for number, customer in enumerate(list(named)[:SHARED])
    ]
    return sorted(sent, key=lambda t: (t["occurred_at"], t.get("revision", 0)))


def outcome(line: Line, sent: int) -> dict[str, Any]:
    """What must be the same with and without faults, and what is wrong in itself."""
    command = [sys.executable, "-m", "cli", "verify", "--json", "--limit", "20"]
    verified = subprocess.run(command, env=os.environ | line.environment, capture_output=True, text=True, check=False)
    said = json.loads(verified.stdout) if verified.stdout else {"error": verified.stderr[-500:]}
    names = ["sent", "stored", "superseded", "late", "duplicate", "rejected", "erased", "missing"]
    (counts,) = line.rows(f"SELECT {', '.join(f'toInt64(sum({name}))' for name in names)} FROM v_ledger")
    (identifiers,) = line.rows("SELECT count(), countIf(shared) FROM v_identities")
    return {
        "digests": line.digests(AS_OF),
        "touchpoints_sent": sent,
        "ledger": dict(zip(names, counts, strict=True)),
        "identifiers": identifiers[0],
        "quarantined": identifiers[1],
        "verify": {"exit": verified.returncode, **said},
    }


def undisturbed(given: list[dict[str, Any]]) -> dict[str, Any]:
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="desireline-week-") as folder,
        Line(Path(folder), source=SOURCE, workers=2, partitions=PARTITIONS) as line,
    ):
        Sender(line.url, line.write_key, batches(given, 500)).start().wait(1_000)
        line.settle(SETTLE_SECONDS, revive=True)
        return {**outcome(line, len(given)), "seconds": round(time.monotonic() - began)}


def disturbed(given: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    chance = random.Random(seed)
    day = len(given) / 7  # touchpoints that come in a day
    order = [t for _, t in sorted(enumerate(given), key=lambda place: place[0] + chance.uniform(0, day))]
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix=f"desireline-week-{seed}-") as folder,
        Line(Path(folder), source=SOURCE, workers=2, partitions=PARTITIONS) as line,
    ):
        sender = Sender(line.url, line.write_key, batches(order, 50), rate=len(order) / FLOW_SECONDS).start()
        faults = Faults(line, sender, chance, kills=FAULTS, pauses=PAUSES, joins=0)
        faults.run()
        outlasted = sender.running
        sender.rate = None
        faults.finish_sending(SETTLE_SECONDS)
        line.settle(SETTLE_SECONDS, revive=True)
        return {
            "seed": seed,
            **outcome(line, len(given)),
            "input_outlasted_the_faults": outlasted,
            "answers": dict(sender.answers),
            "restarted_by_supervision": dict(line.restarts),
            "seconds": round(time.monotonic() - began),
            "faults": [
                {key: one[key] for key in ("fault", "process", "at", "over") if key in one} for one in faults.log
            ],
        }


def wrong(report: dict[str, Any], calm: dict[str, Any] | None) -> list[str]:
    """What must not be."""
    found = []
    if calm is not None:
        found += [f"digest of {t}" for t, value in calm["digests"].items() if report["digests"][t] != value]
    if report["verify"]["exit"] or report["verify"].get("differences"):
        found.append("verify finds differences")
    ledger = report["ledger"]
    if ledger["sent"] != sum(count for name, count in ledger.items() if name != "sent"):
        found.append("the ledger's sum is wrong")
    # A resend after a lost answer is one more in the log; nothing else may differ from what the sender counts.
    if ledger["missing"] or ledger["rejected"] or ledger["sent"] - ledger["duplicate"] > report["touchpoints_sent"]:
        found.append("the ledger and the sender count differently")
    if not report.get("input_outlasted_the_faults", True):
        found.append("the input was over before the faults")
    if not report["quarantined"]:
        found.append("the shared address is not quarantined")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.prove.week", description=__doc__)
    parser.add_argument("--undisturbed", action="store_true")
    parser.add_argument("--seeds", type=seeds, default=[])
    parser.add_argument("--customers", type=int, default=CUSTOMERS)
    arguments = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the broker is away on purpose
    full = arguments.customers == CUSTOMERS
    stamp, before = evidence.stamp(), evidence.read("week")
    if not full or before.get("commit") != stamp["commit"]:
        before = {**stamp, "customers": arguments.customers, "seeds": []}
    given = week(arguments.customers)
    failed = False
    if arguments.undisturbed or "undisturbed" not in before:
        before["undisturbed"] = undisturbed(given)
        before["undisturbed"]["wrong"] = wrong(before["undisturbed"], None)
        failed |= bool(before["undisturbed"]["wrong"])
        print(json.dumps(before["undisturbed"]), flush=True)
        if full:
            evidence.write("week", before)
    for seed in arguments.seeds:
        if any(report["seed"] == seed and not report["wrong"] for report in before["seeds"]):
            continue
        report = disturbed(given, seed)
        report["wrong"] = wrong(report, before["undisturbed"])
        failed |= bool(report["wrong"])
        print(json.dumps({**report, "faults": len(report["faults"])}), flush=True)
        before["seeds"] = [*(known for known in before["seeds"] if known["seed"] != seed), report]
        if full:
            evidence.write("week", before)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
