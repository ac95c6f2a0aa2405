"""Prove that alerts find incidents soon and cry wolf rarely: 26 simulated weeks, 6 clean, then one incident in each of 20.

    python -m tests.prove.alerts                        ten histories → docs/evidence/alerts.json
    python -m tests.prove.alerts --seeds 3 --variants   fewer, and what other settings would have done; writes nothing

In each incident half of one channel's checkouts fail for 30 minutes, at 10 or more checkouts a minute. For every history at
least 18 must be found, half of them within 15 minutes, and at most 20 alerts may be about nothing. Exit code 1 otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from statistics import median
from typing import Any

import msgspec

from alerts.counts import Rules
from alerts.watch import State, step
from schemas.alert import Alert
from tests.prove import evidence
from tests.prove.alerts_history import DECISION, LASTS, RULES, Incident, history, incidents

FOUND, WITHIN, WRONG = 18, 15, 20
TELLS = LASTS + 30  # minutes after its start: later, an alert is not told of this incident
VARIANTS: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "weight 0.1": {"weight": 0.1},
    "weight 0.4": {"weight": 0.4},
    "samples of 20": {"least_sample": 20},
    "samples of 5": {"least_sample": 5},
    "one false alarm a week": {"false_alarms": 1.0},
    "no correction for many series": {"false_alarms": 1e9},
    "nor guards": {"false_alarms": 1e9, "least_lost": 0.0, "least_loss": 0.0, "least_stays": 1},
}


def judged(changes: list[tuple[int, Alert]], planted: list[Incident]) -> dict[str, Any]:
    """What the alerts found, when, and what they said for nothing. `changes` with their minutes."""
    found: dict[Incident, int] = {}
    wrong: list[str] = []
    for minute, alert in changes:
        if alert.change == "resolved":
            continue
        told = [f"{alert.journey}·{alert.stage}·{alert.channel}·{alert.measure}", *alert.also]
        about = [one for one in planted if one.start <= minute <= one.start + TELLS]
        names_it = about and any(name.split("·")[1:3] == [str(DECISION), about[0].channel] for name in told)
        if names_it and about[0] not in found:
            found[about[0]] = minute - about[0].start
        elif alert.change == "opened":
            wrong.append(f"{told[0]} lost {alert.lost:.0f} of {alert.stays}, {minute - planted[0].start} min")
    after = sorted(found.values())
    return {
        "detected": len(found),
        "median_minutes": median(after) if after else None,
        "slowest_minutes": max(after, default=None),
        "false_alarms": len(wrong),
        "false": wrong,
    }


def one(seed: int, variants: list[str]) -> tuple[int, dict[str, Any]]:
    """One history through the watch, once per variant; every variant sees the same counts."""
    began = time.process_time()
    rules: dict[str, Rules] = {name: msgspec.structs.replace(RULES, **VARIANTS[name]) for name in variants}
    states = {name: State() for name in variants}
    changes: dict[str, list[tuple[int, Alert]]] = {name: [] for name in variants}
    planted = incidents(seed)
    stepping = 0.0
    for minute, counts in history(seed, planted):
        before = time.process_time()
        for name in variants:
            states[name], said = step(states[name], minute, counts, rules[name])
            changes[name] += [(minute, alert) for alert in said]
        stepping += time.process_time() - before
    return seed, {
        **{name: judged(changes[name], planted) for name in variants},
        "cpu_seconds": round(time.process_time() - began, 1),
        "of_them_watching": round(stepping, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.prove.alerts", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--variants", action="store_true")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    arguments = parser.parse_args()
    variants = list(VARIANTS) if arguments.variants else ["as shipped"]
    runs: dict[int, dict[str, Any]] = {}
    with ProcessPoolExecutor(arguments.processes) as pool:
        seeds = range(arguments.first, arguments.first + arguments.seeds)
        for done in as_completed([pool.submit(one, seed, variants) for seed in seeds]):
            seed, runs[seed] = done.result()
            print(seed, json.dumps(runs[seed]), file=sys.stderr, flush=True)
    runs = dict(sorted(runs.items()))
    shipped = [run["as shipped"] for run in runs.values()]
    holds = all(
        run["detected"] >= FOUND and run["median_minutes"] <= WITHIN and run["false_alarms"] <= WRONG for run in shipped
    )
    total = {
        name: {
            "detected": [run[name]["detected"] for run in runs.values()],
            "median_minutes": [run[name]["median_minutes"] for run in runs.values()],
            "false_alarms": [run[name]["false_alarms"] for run in runs.values()],
        }
        for name in variants
    }
    print(json.dumps({"holds": holds, "by_seed": total}))
    if arguments.seeds >= 10 and not arguments.variants:
        evidence.write("alerts", {**evidence.stamp(), "holds": holds, "by_seed": total["as shipped"], "runs": runs})
    return int(not holds)


if __name__ == "__main__":
    sys.exit(main())
