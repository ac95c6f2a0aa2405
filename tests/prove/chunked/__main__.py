"""Prove the transactional store under faults.

    python -m tests.prove.chunked --seeds 1-20              every seed not yet proved for this code; appends the evidence
    python -m tests.prove.chunked --seeds 1 --mutant outside   a fault planted in the store: exits 0 when it is caught

Prints one JSON report a seed. Exit code 1 when anything differs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.prove.chunked.chaos import FAULTS, Chaos
from tests.prove.chunked.processes import LocalBroker
from tests.prove.chunked.worker import MUTANTS

ROOT = Path(__file__).parents[3]
EVIDENCE = ROOT / "docs" / "evidence" / "chunked.json"
CODE = ("runtime/chunked", "runtime/kafka.py")
# What shows each mutant for certain: an open transaction that is thrown away, a pause outlasting the session.
REVEALING = {"outside": ["kill", "quick", "quick", "quick"], "roundrobin": ["join"], "unfenced": ["pause", "pause"]}


def seeds(text: str) -> list[int]:
    """`3`, `1-20`, `1,4,7-9`."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def commit() -> str:
    """The last commit that touched what is proved; `+` when it has been changed since."""
    log = ["git", "log", "-1", "--format=%h", "--", *CODE]
    found = subprocess.run(log, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", *CODE], cwd=ROOT, check=False).returncode
    return found + ("+" if changed else "")


def evidence() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(EVIDENCE.read_text()) if EVIDENCE.exists() else []
    return found


def record(report: dict[str, Any]) -> None:
    """One report a line, so that changes read well."""
    EVIDENCE.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(entry) for entry in [*evidence(), report]]
    EVIDENCE.write_text("[\n" + ",\n".join(lines) + "\n]\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.prove.chunked", description=__doc__)
    parser.add_argument("--seeds", type=seeds, default=seeds("1-20"), help="for example 1-20 or 3,5")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), default="", help="plant this fault; it must be caught")
    parser.add_argument("--faults", help=f"instead of the seed's own: of {', '.join(FAULTS)}, by comma")
    given = parser.parse_args()
    faults = given.faults.split(",") if given.faults else REVEALING.get(given.mutant)
    now = commit()
    proved = {(e["seed"], e["commit"], e["mutant"]) for e in evidence() if bool(e["differences"]) == bool(e["mutant"])}
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the broker is away on purpose
    failed = False
    with tempfile.TemporaryDirectory(prefix="desireline-prove-") as name:
        broker = LocalBroker(Path(name))
        try:
            broker.start()
            for seed in given.seeds:
                if (seed, now, given.mutant) in proved:
                    continue
                folder = Path(name) / f"seed-{seed}"
                report = asyncio.run(Chaos(seed, broker, folder, faults, given.mutant).run())
                report = {"commit": now} | report
                print(json.dumps(report), flush=True)
                record(report)
                failed |= bool(report["differences"]) != bool(given.mutant)
        finally:
            broker.kill()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
