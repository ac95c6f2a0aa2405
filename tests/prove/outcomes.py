"""Prove that no drop-off is missing and none told twice, whatever happens to the processes across deadlines.

    python -m tests.prove.outcomes [--customers 600] [--seed 1]

Customers who live now, with a patience of seconds: they go silent, come back, buy; some of what they do arrives late. Ten times
one of two workers is killed (-9) or paused for longer than a deadline; once every process of ours is stopped for longer than
all of them. Afterwards: what stands is what the plain fold says, the topic tells nothing twice, the digest is that of a line
that got the same touchpoints undisturbed, and `desireline verify` finds nothing. docs/evidence/outcomes.json
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import yaml

from runtime.kafka import read_topic
from schemas import topics
from schemas.definition import Rules, load_definitions
from schemas.outcome import Outcome
from sinks.verify import plain
from tests import expected
from tests.line import Line
from tests.prove import evidence
from tests.sender import Sender, batches

SOURCE = "shop"
PATIENCE, GRACE = 10, 15  # seconds
NAMES = ("looked", "compared", "ordered", "bought")
FLOW_SECONDS = 150  # how long customers do something
FAULTS, PAUSE_SECONDS, OUTAGE_SECONDS = 10, 14, 40
QUIET_SECONDS = 100  # until everything is told: a minute without news, the grace, and the way to the table
SETTLE_SECONDS = 300.0


def definitions_in(folder: Path) -> Path:
    stages = [{"name": name, "patience": f"{PATIENCE}s", "match": [{"name": name}]} for name in NAMES]
    file = folder / "journeys.yaml"
    purchase = {"name": "purchase", "goal": "bought", "ends_after": "1h", "stages": stages}
    file.write_text(yaml.safe_dump({"definitions": [purchase, {**purchase, "name": "endless", "goal": None}]}))
    return file


def lives(customers: int, seed: int, start: float) -> list[tuple[float, dict[str, Any]]]:
    """Touchpoints with the moment at which each is sent, in that order; a fifth of them late, some twice."""
    chance = random.Random(seed)
    found = []
    for customer in range(customers):
        at = start + chance.uniform(0, FLOW_SECONDS / 2)
        for number in range(chance.randint(1, 6)):
            touchpoint = {
                "event_id": f"{customer}-{number}",
                "channel": chance.choice(("web", "store")),
                "name": chance.choices(NAMES, (5, 3, 2, 1))[0],
                "occurred_at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1000):03d}Z",
                "identifiers": {"customer_id": f"c{customer}"},
            }
            late = chance.uniform(0, 2 * PATIENCE) if chance.random() < 0.2 else 0.0
            found += [(at + late, touchpoint)] * (2 if chance.random() < 0.05 else 1)
            at += chance.choice((1, PATIENCE / 2, PATIENCE * 1.5)) * chance.uniform(0.5, 1.5)
    return sorted(found, key=lambda sent: sent[0])


def deliver(line: Line, sent: list[tuple[float, dict[str, Any]]]) -> None:
    """Send each when its time has come, or as soon as the collector is there again."""
    left = list(sent)
    while left:
        due = [touchpoint for at, touchpoint in left if at <= time.time()]
        if due:
            try:
                line.post(json.dumps(due[:500]).encode())
                left = left[len(due[:500]) :]
            except OSError:
                pass
        time.sleep(0.2)


def disturb(line: Line, seed: int) -> list[dict[str, Any]]:
    chance, log, began = random.Random(seed), list[dict[str, Any]](), time.monotonic()
    for number in range(FAULTS):
        time.sleep(chance.uniform(0.5, 4.0))
        name, fault = f"worker-{chance.choice((1, 2))}", chance.choice(("kill", "pause"))
        log.append({"fault": fault, "process": name, "at": round(time.monotonic() - began, 1)})
        if fault == "kill":
            line.kill(name)
            time.sleep(chance.uniform(0, 3))
            line.start(name)
        else:
            line.freeze(name)
            time.sleep(PAUSE_SECONDS)
            line.thaw(name)
        line.revive()
        if number == FAULTS // 2:
            log.append({"fault": "all stopped", "at": round(time.monotonic() - began, 1)})
            ours = ("collector", "worker-1", "worker-2", "sink")
            for one in ours:
                line.kill(one)
            time.sleep(OUTAGE_SECONDS)
            for one in ours:
                line.start(one)
    return log


def told(line: Line) -> dict[str, Any]:
    """What the topic says, in its order: how much, and whether anything was told or taken back twice."""
    last: dict[str, Outcome] = {}
    said, twice = Counter[str](), 0
    for record in asyncio.run(read_topic(line.kafka, topics.OUTCOMES.name)):
        row = msgspec.json.decode(record.value or b"", type=Outcome)
        known = last.get(row.outcome_id)
        twice += known is not None and msgspec.structs.replace(known, version=row.version) == row
        twice += known is None and row.retracted
        said["retracted" if row.retracted else row.kind] += 1
        last[row.outcome_id] = row
    return {"said": dict(said), "told_twice": twice}


def standing(line: Line, sent: list[dict[str, Any]], definitions: Path, as_of: int) -> dict[str, Any]:
    loaded = load_definitions(definitions)
    stored = expected.stored([json.dumps(one).encode() for one in sent], SOURCE, as_of)
    must = {
        row["outcome_id"]
        for person, events in expected.people(stored, Rules(loaded)).items()
        for row in plain.outcomes(person, events, loaded, as_of)
    }
    rows = line.rows("SELECT lower(hex(UUIDToNum(outcome_id))), kind, historical FROM v_outcomes")
    found = {row[0] for row in rows}
    return {
        "expected": len(must),
        "missing": len(must - found),
        "too_many": len(found - must) + len(rows) - len(found),
        "stand": dict(Counter(kind for _, kind, _ in rows)),
        "historical": sum(late for _, _, late in rows),
        "digest": line.digests(as_of, ["outcomes"])["outcomes"],
        "verify": line.cli("verify").splitlines()[-1],
        **told(line),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.prove.outcomes", description=__doc__)
    parser.add_argument("--customers", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    grace = {"worker": {"DESIRELINE_OUTAGE_GRACE": str(GRACE)}}
    report: dict[str, Any] = {**evidence.stamp(), "customers": arguments.customers, "seed": arguments.seed}
    with tempfile.TemporaryDirectory(prefix="desireline-outcomes-") as name:
        folder = Path(name)
        definitions = definitions_in(folder)
        with Line(folder / "disturbed", source=SOURCE, definitions=definitions, workers=2, environment=grace) as line:
            sent = lives(arguments.customers, arguments.seed, time.time() + 2)
            plain_sent = [touchpoint for _, touchpoint in sent]
            sender = threading.Thread(target=deliver, args=(line, sent), daemon=True)
            sender.start()
            report["faults"] = disturb(line, arguments.seed)
            sender.join(SETTLE_SECONDS)
            line.settle(SETTLE_SECONDS, revive=True)
            time.sleep(QUIET_SECONDS)
            line.settle(SETTLE_SECONDS, revive=True)
            as_of = int(time.time() * 1000)
            report["disturbed"] = standing(line, plain_sent, definitions, as_of)
        with Line(folder / "calm", source=SOURCE, definitions=definitions, environment=grace) as line:
            Sender(line.url, line.write_key, batches(plain_sent, 500)).start().wait(SETTLE_SECONDS)
            line.settle(SETTLE_SECONDS)
            time.sleep(QUIET_SECONDS)
            line.settle(SETTLE_SECONDS)
            report["undisturbed"] = standing(line, plain_sent, definitions, as_of)
    disturbed, calm = report["disturbed"], report["undisturbed"]
    wrong = [
        f"{which}: {name} {found[name]}"
        for which, found in (("disturbed", disturbed), ("undisturbed", calm))
        for name in ("missing", "too_many", "told_twice")
        if found[name]
    ]
    wrong += ["the digests differ"] * (disturbed["digest"] != calm["digest"])
    wrong += ["verify finds differences"] * any("0 differences" not in one["verify"] for one in (disturbed, calm))
    report["wrong"] = wrong
    print(json.dumps(report), flush=True)
    evidence.write("outcomes", report)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
