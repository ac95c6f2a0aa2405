"""Prove that this release goes on with the data folder of one before: what came before and after counts as if it had been one.

    python -m tests.prove.upgrade                      from the newest commit whose state is kept in tests/fixtures/states
    python -m tests.prove.upgrade ce1512f              from this one; figures go to docs/evidence/upgrade.json
    python -m tests.prove.upgrade --customers 200 ...  a smaller company; prints the report, writes nothing

The stack of the older commit runs from its own checkout, is fed, and is stopped while there is work under way. The present one
starts on the same folder and gets the rest, much of it corrections of what was there and some of it for the second time. Then
`desireline verify` must find no difference, and every digest be that of a present stack in an empty folder that was sent all.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.local.ports import free_port
from ingest.simulator.scenario import Scenario
from ingest.simulator.simulation import simulate
from runtime.settings import ClickHouseSettings
from sinks.reader import reader
from tests.fixtures.older import ROOT, checkout
from tests.fixtures.states import FILES
from tests.prove import evidence
from tests.sender import Sender, batches

SOURCE, KEY = "vivan_los_tacos", "prove-upgrade"
CUSTOMERS = 3_000
AS_OF = "2030-01-01"  # behind every deadline
SEND_SECONDS = 300.0
REFRESH_SECONDS = 120.0
BLOCKED_BEFORE, RELEASED, BLOCKED_AFTER = ("email:family-0@example.org", "email:family-1@example.org"), 0, 2
FAMILIES = 4  # pairs of customers with one address each
ADDRESSES = ("KAFKA_BOOTSTRAP", "CLICKHOUSE_URL", "CLICKHOUSE_NATIVE_PORT")
DIGESTED = ("touchpoints", "person_touchpoints", "journeys")
LEDGER = ("sent", "stored", "superseded", "late", "duplicate", "rejected", "erased", "missing")


class Stack:
    """`desireline up` on a data folder, by the code of a tree, with the definitions of journeys and people in `settings`."""

    def __init__(self, tree: Path, home: Path, settings: Path) -> None:
        self._tree = tree
        self._port = free_port()
        self._environment = os.environ | {
            "PYTHONPATH": str(tree),
            "DESIRELINE_HOME": str(home),
            "DESIRELINE_WRITE_KEYS": f"{SOURCE}={KEY}",
            "DESIRELINE_DEFINITIONS": str(settings / "journeys.yaml"),
            "DESIRELINE_IDENTITY": str(settings / "identity.yaml"),
        }

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """AssertionError when it fails, but for what `verify` finds."""
        command = [sys.executable, "-m", "cli", *arguments]
        done = subprocess.run(command, cwd=self._tree, env=self._environment, capture_output=True, text=True)
        assert done.returncode == 0 or arguments[0] == "verify", f"{arguments}: {done.stdout}\n{done.stderr[-4000:]}"
        return done

    @contextmanager
    def running(self) -> Iterator[Stack]:
        """Once: afterwards it knows addresses of servers that are gone."""
        self.cli("up", "--collector-port", str(self._port))
        try:
            said = self.cli("status", "--env").stdout
            found = dict(shlex.split(line)[1].split("=", 1) for line in said.splitlines())
            self._environment |= {name: found[name] for name in ADDRESSES}
            yield self
        finally:
            self.cli("down")

    def send(self, touchpoints: list[dict[str, Any]]) -> None:
        url = f"http://127.0.0.1:{self._port}/v1/touchpoints"
        sender = Sender(url, KEY, batches(touchpoints, 100)).start()
        sender.wait(SEND_SECONDS)
        assert not sender.rejected, sender.rejected[:3]

    def verify(self) -> dict[str, Any]:
        """Waits until the line is through, and the figures are refreshed, so that all of them are compared."""
        give_up = time.monotonic() + REFRESH_SECONDS
        while True:
            done = self.cli("verify", "--json")
            assert done.stdout, done.stderr[-4000:]
            said: dict[str, Any] = json.loads(done.stdout)
            if not said["compared"].get("figures not compared") or time.monotonic() > give_up:
                kept = {name: said[name] for name in ("compared", "behind", "total", "unexplained")}
                return {"exit": done.returncode, **kept}

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        url, port = self._environment["CLICKHOUSE_URL"], int(self._environment["CLICKHOUSE_NATIVE_PORT"])
        with reader(ClickHouseSettings(url=url, native_port=port)) as one:
            return one.ask(sql).rows

    def digests(self) -> dict[str, str]:
        return {table: self.cli("digest", table, "--as-of", AS_OF).stdout.strip() for table in DIGESTED}

    def ledger(self) -> dict[str, int]:
        (counts,) = self.rows(f"SELECT {', '.join(f'toInt64(sum({name}))' for name in LEDGER)} FROM v_ledger")
        return dict(zip(LEDGER, counts, strict=True))


def company(customers: int) -> list[dict[str, Any]]:
    """All that is sent, in the order of time; some of it twice, some of it corrected."""
    scenario = Scenario(seed=6, customers=customers, duplicates=0.03, corrections=0.2, shared_devices=0.2)
    sent = [json.loads(arrival.touchpoint) for arrival in simulate(scenario)]
    named = list(dict.fromkeys(t["identifiers"]["customer_id"] for t in sent if "customer_id" in t["identifiers"]))
    for number, customer in enumerate(named[: 2 * FAMILIES]):
        sent.append(
            {
                "event_id": f"family-{number}",
                "channel": "web",
                "name": "newsletter_ordered",
                "occurred_at": sent[number]["occurred_at"],
                "identifiers": {"customer_id": customer, "email": f"family-{number // 2}@example.org"},
            }
        )
    return sorted(sent, key=lambda t: (t["occurred_at"], t.get("revision", 0)))


def parts(sent: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """What the release before takes in rest, what it is stopped over, and what comes afterwards: later corrections, which
    come in any order, and a tenth of everything else once more."""
    corrections = [t for t in sent if t.get("revision", 0) > 1]
    others = [t for t in sent if t.get("revision", 0) < 2]
    half, most = len(others) // 2, len(others) * 7 // 10
    return others[:half], others[half:most], [*corrections, *others[most:], *others[:most:10]]


def upgraded(tree: Path, folder: Path, sent: list[dict[str, Any]]) -> dict[str, Any]:
    rest, under_way, afterwards = parts(sent)
    home = folder / "upgraded"
    home.mkdir()
    with Stack(tree, home, folder).running() as old:
        old.send(rest)
        for identifier in BLOCKED_BEFORE:
            old.cli("identifiers", "block", identifier)
        before = {"verify": old.verify(), "migrations": old.rows("SELECT max(number) FROM migrations")[0][0]}
        stored = old.rows("SELECT count() FROM v_touchpoints")[0][0]
        old.send(under_way)
        shown = old.rows("SELECT count() FROM v_touchpoints")[0][0] - stored
    with Stack(ROOT, home, folder).running() as new:
        began = time.monotonic()
        new.send(afterwards)
        orders(new)
        return {
            "before": before,
            "touchpoints": {"in_rest": len(rest), "stopped_over": len(under_way), "afterwards": len(afterwards)},
            "shown_of_those_it_was_stopped_over": shown,
            **outcome(new),
            "seconds_after_the_upgrade": round(time.monotonic() - began),
        }


def orders(stack: Stack) -> None:
    """What is blocked in the end."""
    stack.cli("identifiers", "block", f"email:family-{BLOCKED_AFTER}@example.org")
    stack.cli("identifiers", "release", BLOCKED_BEFORE[RELEASED])


def outcome(stack: Stack) -> dict[str, Any]:
    return {
        "verify": stack.verify(),
        "digests": stack.digests(),
        "ledger": stack.ledger(),
        "migrations": stack.rows("SELECT max(number) FROM migrations")[0][0],
    }


def fresh(folder: Path, sent: list[dict[str, Any]]) -> dict[str, Any]:
    """The present code in an empty folder, all at once."""
    home = folder / "fresh"
    home.mkdir()
    with Stack(ROOT, home, folder).running() as stack:
        for part in parts(sent):
            stack.send(part)
        stack.cli("identifiers", "block", BLOCKED_BEFORE[1 - RELEASED])
        orders(stack)
        return outcome(stack)


def wrong(report: dict[str, Any]) -> list[str]:
    """What must not be."""
    after, calm = report["upgraded"], report["fresh"]
    found = [f"digest of {table}" for table, value in calm["digests"].items() if after["digests"][table] != value]
    for name, verified in (
        ("before", after["before"]["verify"]),
        ("after", after["verify"]),
        ("fresh", calm["verify"]),
    ):
        unsure = verified["behind"] or verified["compared"].get("figures not compared")
        if verified["exit"] or verified["total"] or unsure:
            found.append(f"verify {name} the upgrade" if name != "fresh" else "verify of the fresh one")
    ledger = after["ledger"]
    if ledger["sent"] != sum(count for name, count in ledger.items() if name != "sent"):
        found.append("the ledger's sum")
    if ledger["sent"] != sum(after["touchpoints"].values()) or ledger["missing"] or ledger["rejected"]:
        found.append("the ledger and the sender count differently")
    return found


def newest() -> str:
    """The youngest commit among those whose state is kept."""
    kept = [file.name.partition(".")[0] for file in FILES.glob("*.json.xz")]
    times = [subprocess.check_output(["git", "-C", str(ROOT), "log", "-1", "--format=%ct", commit]) for commit in kept]
    return max(zip(map(int, times), kept, strict=True))[1]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.prove.upgrade", description=__doc__)
    parser.add_argument("commit", nargs="?", help="the release before")
    parser.add_argument("--customers", type=int, default=CUSTOMERS)
    arguments = parser.parse_args()
    commit = arguments.commit or newest()
    stamp = evidence.stamp()
    sent = company(arguments.customers)
    with checkout(commit) as tree, tempfile.TemporaryDirectory(prefix="desireline-upgrade-") as name:
        folder = Path(name)
        for file in ("journeys.yaml", "identity.yaml"):  # an upgrade keeps the operator's files
            (folder / file).write_bytes((tree / "schemas" / file).read_bytes())
        report = {**stamp, "from": commit, "customers": arguments.customers}
        report["upgraded"] = upgraded(tree, folder, sent)
        report["fresh"] = fresh(folder, sent)
    report["wrong"] = wrong(report)
    print(json.dumps(report, indent=2))
    if arguments.customers == CUSTOMERS:
        evidence.write("upgrade", report)
    return int(bool(report["wrong"]))


if __name__ == "__main__":
    sys.exit(main())
