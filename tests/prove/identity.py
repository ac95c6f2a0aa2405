"""Prove that the stream's people are the definition's, and that the proof has teeth.

    python -m tests.prove.identity                     20,000 random histories and all faults → docs/evidence/identity.json
    python -m tests.prove.identity --examples 500      fewer; prints the report, writes nothing
    python -m tests.prove.identity --only "hop limit"  the faults of that name

Histories come in lots of 2,000, each from its own seed; in every fourth lot people are erased. What was proved for this commit
is not run again. Exit code 1 when a history differs or a fault is not noticed.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
import types
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from rich.progress import track

import processors
from processors.identity import IdentityPartition
from schemas.identity import Kinds
from tests.identity_world import World
from tests.prove import evidence
from tests.prove.identity_faults import ERASURE_FAULTS, FAULTS
from tests.unit.test_erasure import check_erasure
from tests.unit.test_identity_stream import Histories, check, configurations, histories

LOT = 2_000
MODULES = ("timeline", "erased", "names", "whos", "ownership", "homes", "identity")
REST_SECONDS = 5.0  # a history takes some milliseconds
MOST = 6_000  # histories that a fault may hide for


def mutant(module: str, stands: str, fault: str) -> type[IdentityPartition]:
    """The leg with one fault, built of fresh copies of its modules."""
    made: dict[str, types.ModuleType] = {}
    for name in MODULES:
        text = (Path(processors.__path__[0]) / f"{name}.py").read_text(encoding="utf-8")
        if name == module:
            assert text.count(stands) == 1, f"{module} has {text.count(stands)} times: {stands}"
            text = text.replace(stands, fault)
        for known in made:
            text = text.replace(f"from processors.{known} import", f"from mutant_{known} import")
        made[name] = sys.modules[f"mutant_{name}"] = types.ModuleType(f"mutant_{name}")
        exec(compile(text, f"mutant_{name}", "exec"), made[name].__dict__)
    found: type[IdentityPartition] = made["identity"].IdentityPartition
    return found


def caught(leg: type[IdentityPartition], most: int, check: Callable[..., World]) -> tuple[int | None, str]:
    """After how many histories a faulty leg is noticed, and how."""
    tried = 0

    @seed(11)
    @settings(
        max_examples=most,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(histories(), configurations(), st.integers(0, 2**32))
    def attempt(given: Histories, kinds: Kinds, schedule: int) -> None:
        nonlocal tried
        tried += 1
        signal.setitimer(signal.ITIMER_REAL, REST_SECONDS, 0.1)  # again, should nobody take the first
        try:
            check(given, kinds, schedule, new=leg)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def too_long(*_: object) -> None:
        raise TimeoutError("it talks to itself for ever")

    signal.signal(signal.SIGALRM, too_long)
    try:
        attempt()
    except Exception as error:  # noqa: BLE001 - a faulty leg may fail in any way; that is being caught
        return tried, type(error).__name__
    return None, ""


def lot(number: int, examples: int) -> dict[str, Any]:
    """One lot of histories. Raises what a history raises that differs."""
    counted: Counter[str] = Counter()

    @seed(number)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(histories(), configurations(), st.integers(0, 2**32))
    def attempt(given: Histories, kinds: Kinds, schedule: int) -> None:
        erases = number % 4 == 3  # one history in four
        world = check_erasure(given, kinds, schedule) if erases else check(given, kinds, schedule)
        sent = given[0]
        counted.update(
            histories=1,
            with_erasures=erases,
            touchpoints=len(sent),
            records_taken=world.steps,
            messages=world.told,
            crashes=world.crashes,
            repeats=world.repeats,
            with_links=any(len(one.sighted(kinds).strong) > 1 for one in sent),
            with_shared=any(row.shared for row in world.identities.values()),
            with_nameless=any(not one.sighted(kinds).strong for one in sent),
            with_retractions=any(one.retracted for one in sent),
            with_revisions=any(one.revision for one in sent),
            with_orders=bool(given[1]),
        )

    attempt()
    return {"seed": number, **counted}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.prove.identity", description=__doc__)
    parser.add_argument("--examples", type=int, default=20_000)
    parser.add_argument("--most", type=int, default=MOST, help="histories that a fault may hide for")
    parser.add_argument("--only", default="", help="faults whose name contains this; no histories")
    arguments = parser.parse_args()
    full = arguments.examples >= 20_000 and not arguments.only
    stamp, before = evidence.stamp(), evidence.read("identity")
    if not full or before.get("commit") != stamp["commit"]:
        before = {**stamp, "lots": [], "faults": {}}
    began = time.monotonic()
    lots = {one["seed"]: one for one in before["lots"]}
    numbers = range(-(-arguments.examples // LOT)) if not arguments.only else ()
    for number in track([n for n in numbers if n not in lots], "histories", disable=not sys.stderr.isatty()):
        lots[number] = lot(number, min(LOT, arguments.examples))
        if full:
            evidence.write("identity", {**before, "lots": list(lots.values())})
    faults: dict[str, Any] = dict(before["faults"])
    for name, (module, stands, fault) in (FAULTS | ERASURE_FAULTS).items():
        if arguments.only in name and name not in faults:
            holds = check_erasure if name in ERASURE_FAULTS else check
            tried, how = caught(mutant(module, stands, fault), arguments.most, holds)
            faults[name] = {"caught_after": tried, "by": how}
            print(f"{'after ' + str(tried) if tried else 'NOT CAUGHT':>12}  {name}  {how}", file=sys.stderr, flush=True)
            if full:
                evidence.write("identity", {**before, "lots": list(lots.values()), "faults": faults})
    missed = [name for name, found in faults.items() if not found["caught_after"]]
    total: Counter[str] = Counter()
    for one in lots.values():
        total.update({key: value for key, value in one.items() if key != "seed"})
    print(
        json.dumps(
            {"total": total, "faults": len(faults), "missed": missed, "seconds": round(time.monotonic() - began)}
        )
    )
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
