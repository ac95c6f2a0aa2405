"""Prove that a hundred customers of a week can be forgotten: to the last byte, for good; and nobody else notices.

    python -m tests.prove.erasure                     the week of 50,000 customers → docs/evidence/erasure.json
    python -m tests.prove.erasure --customers 2000    a smaller week; prints the report, writes nothing

The week of tests/prove/week.py lies in an uncompressed line. A hundred customers are erased by one command. Then: everybody
else's rows have the digest they had; `desireline verify` finds nothing; the whole log, which still holds the hundred, is
replayed into a second generation, which comes to the same and is the live one for a while; and when the logs' retention is
over no file of Kafka and ClickHouse, and no log, holds one of their identifiers, though they did before.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from sinks.digest import digest
from sinks.generations import live
from sinks.queries import query
from sinks.reader import reader
from tests.integration.test_erase_bytes import FORGETFUL, KEPT_MS, Forgetful, Traffic, keep_for, place, uncompressed
from tests.integration.test_replay import eventually, replaying
from tests.line import Line
from tests.prove import evidence
from tests.prove.week import AS_OF, CUSTOMERS, PARTITIONS, SETTLE_SECONDS, SOURCE, week
from tests.sender import Sender, batches

ERASED = 100
FORGET_SECONDS = 400.0
UUIDS = re.compile(rb"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
# Every identifier that the simulated company gives has one of these forms.
TOKENS = re.compile(
    rb"[cwml]-[0-9a-f]{8}-[0-9]+|[a-z]+\.[a-z]+\.[0-9a-f]{8}\.[0-9]+@example\.com|\+[0-9]{11,14}", re.IGNORECASE
)
CHOSEN = """
SELECT DISTINCT person_id FROM v_identities
WHERE startsWith(identifier, 'customer_id:') AND NOT shared ORDER BY cityHash64(person_id) LIMIT {limit:UInt32}
"""
CARRIED = """
SELECT DISTINCT concat(tupleElement(one, 1), ':', tupleElement(one, 2)) FROM touchpoints FINAL
ARRAY JOIN arrayZip(mapKeys(identifiers), mapValues(identifiers)) AS one
"""
DIGESTS = {
    "touchpoints": "touchpoints",
    "owners": "person_touchpoints",
    "identifiers": "identities",
    "journeys": "journeys",
}


def of_others(line: Line, gone: set[bytes], theirs: set[str]) -> dict[str, str]:
    """Digests of the rows in which none of these ids (people and touchpoints) stands; of identifiers those that were not
    `theirs`, and that a live touchpoint carries, for a name that was corrected away keeps its row until a replay."""
    found = {}
    with reader(line.clickhouse) as clickhouse:
        carried = {identifier for (identifier,) in clickhouse.stream(CARRIED)} - theirs
        for name, table in DIGESTS.items():
            hashed = sha256()
            parameters: dict[str, Any] = {"as_of": AS_OF} if table == "journeys" else {}
            if table != "touchpoints":
                parameters["generation"] = live(clickhouse)
            for row, properties in clickhouse.stream(query(f"digest_{table}"), parameters):
                content = f"{row}{properties}\n".encode()
                if gone.intersection(UUIDS.findall(content)):
                    continue
                if table != "identities" or json.loads(row)[0] in carried:
                    hashed.update(content)
            found[name] = hashed.hexdigest()
    return found


def identifying(line: Line, people: set[str]) -> set[bytes]:
    """The values of these people's names, and of the devices that nobody else was on, as `TOKENS` finds them."""
    owners = {str(event): str(person) for event, person in line.rows("SELECT event_id, person_id FROM v_touchpoints")}
    named = line.rows("SELECT identifier, person_id FROM v_identities WHERE NOT shared")
    theirs = {identifier.partition(":")[2] for identifier, person in named if str(person) in people}
    for event, values in line.rows("SELECT event_id, mapValues(identifiers) FROM touchpoints"):
        if owners.get(str(event)) not in people:
            theirs.difference_update(values)
    return {value.lower().encode() for value in theirs if TOKENS.fullmatch(value.encode())}


def where(folder: Path, needles: set[bytes]) -> Counter[str]:
    """Topic, table folder or file → how often one of the identifiers stands in it."""
    found: Counter[str] = Counter()
    for root, _, names in os.walk(folder):
        for name in names:
            file = Path(root) / name
            try:
                content = file.read_bytes().rstrip(b"\0") if file.is_file() else b""  # Kafka's indexes are mostly zeros
            except FileNotFoundError:  # deleted just now
                continue
            hits = sum(token.lower() in needles for token in TOKENS.findall(content))
            if hits:
                where = place(file, folder)
                found[where if where.startswith("topic ") else "/".join(where.split("/")[:4])] += hits
    return found


def verified(line: Line) -> dict[str, Any]:
    command = [sys.executable, "-m", "cli", "verify", "--json", "--limit", "20"]
    done = subprocess.run(command, env=os.environ | line.environment, capture_output=True, text=True, check=False)
    said: dict[str, Any] = json.loads(done.stdout) if done.stdout else {"error": done.stderr[-500:]}
    return {"exit": done.returncode} | {key: said[key] for key in ("total", "compared", "error") if key in said}


def tell(doing: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {doing}", file=sys.stderr, flush=True)


def prove(customers: int, folder: Path) -> dict[str, Any]:
    given, report = week(customers), dict[str, Any]()
    config = FORGETFUL | {"retention.ms": str(86_400_000)}
    with Line(folder, source=SOURCE, workers=2, partitions=PARTITIONS, broker=Forgetful, topic_config=config) as line:
        tell("sending")
        uncompressed(line)
        Sender(line.url, line.write_key, batches(given, 500)).start().wait(1_000)
        line.settle(SETTLE_SECONDS, revive=True)
        tell("looking")
        people = [str(one) for (one,) in line.rows(CHOSEN.replace("{limit:UInt32}", str(ERASED)))]
        listed = "(" + ", ".join(f"'{one}'" for one in people) + ")"
        events = [str(one) for (one,) in line.rows(f"SELECT event_id FROM v_touchpoints WHERE person_id IN {listed}")]
        moved = [
            str(one)
            for (one,) in line.rows("SELECT DISTINCT own_id FROM identities FINAL WHERE person_id IN " + listed)
        ]
        needles = identifying(line, set(people))
        theirs = {
            identifier
            for (identifier,) in line.rows(f"SELECT identifier FROM v_identities WHERE person_id IN {listed}")
        }
        gone = {one.encode() for one in (*people, *events, *moved)}
        before = of_others(line, gone, theirs)
        report["erased"] = {"people": len(people), "touchpoints": len(events), "identifiers": len(needles)}
        report["found_before"] = dict(where(folder, needles).most_common())

        tell("erasing")
        ids = folder / "ids.txt"
        ids.write_text("\n".join(people) + "\n")
        began = time.monotonic()
        line.cli("erase", "--file", str(ids), "--yes", "--because", "request")
        report["seconds_erasing"] = round(time.monotonic() - began, 1)
        tell("comparing")
        report["others_unchanged"] = of_others(line, gone, theirs) == before
        report["verify"] = verified(line)
        report["in_clickhouse_and_logs_afterwards"] = {
            place: hits for place, hits in where(folder, needles).items() if not place.startswith("topic ")
        }
        names = ("stored", "erased", "missing")
        (counts,) = line.rows(f"SELECT {', '.join(f'toInt64(sum({name}))' for name in names)} FROM v_ledger")
        report["ledger"] = dict(zip(names, counts, strict=True))

        tell("replaying")
        report["replay"] = replayed(line, lambda: of_others(line, gone, theirs) == before, listed)
        tell("waiting until the logs forget")
        keep_for(line, KEPT_MS)
        began = time.monotonic()
        with Traffic(line):
            while (left := where(folder, needles)) and time.monotonic() - began < FORGET_SECONDS:
                time.sleep(2)
        report["found_afterwards"] = dict(left)
        report["seconds_until_forgotten"] = round(time.monotonic() - began, 1)
    return report


def replayed(line: Line, unchanged: Callable[[], bool], listed: str) -> dict[str, Any]:
    """The whole log once more, beside the live generation; which is live again in the end."""
    began = time.monotonic()
    with replaying(line, signal.SIGKILL):  # which needs no time to end
        eventually(lambda: alike(line), "the second generation comes to the same", 600)
        line.cli("replay", "swap")
        eventually(lambda: line.rows("SELECT generation FROM live_generation") == [(2,)], "the swap")
        found = {
            "others_unchanged": unchanged(),
            "touchpoints_of_the_erased": line.rows(f"SELECT count() FROM v_touchpoints WHERE person_id IN {listed}")[0][
                0
            ],
            "journeys_of_the_erased": line.rows(f"SELECT count() FROM v_journeys WHERE person_id IN {listed}")[0][0],
            "seconds": round(time.monotonic() - began, 1),
        }
        line.cli("replay", "swap", "1")
    line.cli("replay", "drop", "2")
    return found


def alike(line: Line) -> bool:
    with reader(line.clickhouse) as clickhouse:
        return all(
            digest(clickhouse, table, AS_OF, 1) == digest(clickhouse, table, AS_OF, 2)
            for table in ("person_touchpoints", "journeys")
        )


def wrong(report: dict[str, Any]) -> list[str]:
    """What must not be."""
    found = []
    if report["erased"]["people"] != ERASED or report["erased"]["identifiers"] < ERASED:
        found.append("fewer people or identifiers than were to be erased")
    if not any(place.startswith("topic ") for place in report["found_before"]) or len(report["found_before"]) < 6:
        found.append("they were not found before")
    if not report["others_unchanged"] or not report["replay"]["others_unchanged"]:
        found.append("somebody else changed")
    if report["verify"]["exit"] or report["verify"].get("total"):
        found.append("verify finds differences")
    if report["in_clickhouse_and_logs_afterwards"]:
        found.append("ClickHouse or a log still holds them")
    if report["replay"]["touchpoints_of_the_erased"] or report["replay"]["journeys_of_the_erased"]:
        found.append("the replay brought them back")
    if report["found_afterwards"]:
        found.append("bytes are left")
    if report["ledger"]["missing"] or report["ledger"]["erased"] < report["erased"]["touchpoints"]:
        found.append("the ledger does not count them as erased")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.prove.erasure", description=__doc__)
    parser.add_argument("--customers", type=int, default=CUSTOMERS)
    arguments = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    stamp, began = evidence.stamp(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="desireline-erasure-") as folder:
        report = {**stamp, "customers": arguments.customers, **prove(arguments.customers, Path(folder))}
    report["seconds"] = round(time.monotonic() - began)
    report["wrong"] = wrong(report)
    print(json.dumps(report, indent=2))
    if arguments.customers == CUSTOMERS:
        evidence.write("erasure", report)
    return int(bool(report["wrong"]))


if __name__ == "__main__":
    sys.exit(main())
