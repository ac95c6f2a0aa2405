"""`desireline erase` on a whole line: one customer goes everywhere, nobody else changes, and nothing brings her back."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiokafka import AIOKafkaProducer

from ingest.simulator.scenario import Scenario
from ingest.simulator.simulation import simulate
from runtime.kafka import Record, read_topic
from schemas.identity import person_id
from schemas.topics import TOUCHPOINTS
from tests.line import Line
from tests.sender import Sender, batches

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(900)]

SOURCE = "vivan_los_tacos"
MINUTE = 60_000
NAMES = ("menu_viewed", "reservation_started", "seated", "paid", "survey_answered")
ADA, CEM = (person_id(f"customer_id:{name}", b"desireline") for name in ("ada", "cem"))
START = int(time.time() * 1000) // 86_400_000 * 86_400_000 - 20 * 86_400_000  # 20 days ago


def touchpoint(ident: str, minute: int, who: dict[str, str], **more: Any) -> dict[str, Any]:
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime((START + minute * MINUTE) // 1000))
    name = NAMES[minute % len(NAMES)]
    return {
        "event_id": ident, "name": name, "channel": "web", "occurred_at": moment, "identifiers": who,
    } | more  # fmt: skip


def customer(name: str, first: int) -> list[dict[str, Any]]:
    """On her own device and at the kiosk, with and without a name; calls that are corrected; one visit taken back."""
    own, kiosk = {"anonymous_id": f"{name}s-phone"}, {"anonymous_id": "kiosk"}
    named = {"customer_id": name, "email": f"{name}@example.org"}
    found = [touchpoint(f"{name}-{n}", first + 7 * n, own | (named if n % 3 == 0 else {})) for n in range(12)]
    found += [
        touchpoint(
            f"{name}-k{n}",
            first + 100 + n,
            kiosk | (named if n == 1 else {}),
            stream="kiosk",
            sequence=n + first // 300,
        )
        for n in range(3)
    ]
    found.append(touchpoint(f"{name}-s", first + 130, {"customer_id": name, "email": "till@example.org"}))
    called = {"phone": "+525512340000"}
    found.append(
        touchpoint(f"{name}-c", first + 140, called | {"customer_id": "bob"}, revision=1, channel="call_center")
    )
    found.append(
        touchpoint(f"{name}-c", first + 141, called | {"customer_id": name}, revision=2, channel="call_center")
    )
    found.append(
        touchpoint(f"{name}-d", first + 150, called | {"customer_id": name}, revision=1, channel="call_center")
    )
    found.append(
        touchpoint(f"{name}-d", first + 151, called | {"customer_id": "bob"}, revision=2, channel="call_center")
    )
    found.append(touchpoint(f"{name}-r", first + 160, own | named, revision=1))
    found.append(touchpoint(f"{name}-r", first + 160, own | named, revision=2, retracted=True))
    return found


def erase(line: Line, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "cli", "erase", *arguments, "--yes", "--json"]
    return subprocess.Popen(
        command, env=os.environ | line.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def erased(line: Line, *arguments: str) -> list[dict[str, Any]]:
    running = erase(line, *arguments)
    said, complaint = running.communicate(timeout=400)
    assert (running.returncode, complaint.strip()) == (0, "")
    return [json.loads(one) for one in said.splitlines() if one.startswith("{")]


def of_others(line: Line) -> dict[str, list[tuple[Any, ...]]]:
    """Rows that everybody sees, but of Ada and Cem: without what a replay would change."""
    mine = f"('{ADA}', '{CEM}')"
    return {
        "touchpoints": line.rows(
            "SELECT * FROM v_touchpoint_facts WHERE event_id IN "
            f"(SELECT event_id FROM v_touchpoints WHERE person_id NOT IN {mine}) ORDER BY event_id"
        ),
        "people": line.rows(
            f"SELECT * EXCEPT arrived_at FROM v_touchpoints WHERE person_id NOT IN {mine} ORDER BY event_id"
        ),
        "journeys": line.rows(
            f"SELECT * EXCEPT arrived_at FROM v_journeys WHERE person_id NOT IN {mine} ORDER BY journey_id"
        ),
    }


def until(condition: Callable[[], Any], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def test_one_is_forgotten_and_nobody_else(tmp_path: Path) -> None:
    environment = {"sink": {"DESIRELINE_SINK_REFRESH_SECONDS": "0.5"}}
    with Line(tmp_path, source=SOURCE, environment=environment) as line:
        line.forget_quickly()
        others = [json.loads(one.touchpoint) for one in simulate(Scenario(seed=3, customers=20, signed_in=True))]
        others += [
            touchpoint(f"bob-{n}", 40 + 11 * n, {"customer_id": "bob"} | ({"anonymous_id": "kiosk"} if n % 2 else {}))
            for n in range(30)
        ]
        hers = customer("ada", 0)
        Sender(line.url, line.write_key, batches([*others, *hers, *customer("cem", 900)], 20)).start().wait(60)
        for bad in ("Ada@example.org", "bob@example.org"):
            line.post(json.dumps([touchpoint(f"x-{bad}", 1, {"email": bad}), {"identifiers": {"email": bad}}]).encode())
        line.cli("identifiers", "block", "email:till@example.org")
        line.settle()
        assert "0 differences" in line.cli("verify")
        assert "missing" not in line.cli("ledger", "--json").replace('"missing": 0', "")
        before = of_others(line)
        assert line.rows("SELECT count() FROM v_dead_letters") == [(2,)]

        for refused in ("email:till@example.org", "anonymous_id:kiosk", "loyalty_id", "customer_id:"):
            running = erase(line, refused)
            _, complaint = running.communicate(timeout=60)
            assert (running.returncode, complaint.count("\n")) == (1, 1), complaint
        asked = subprocess.run(
            [sys.executable, "-m", "cli", "erase", "customer_id:ada"],
            env=os.environ | line.environment, input="n\n", capture_output=True, text=True,
        )  # fmt: skip
        assert (asked.returncode, asked.stderr.endswith("desireline: nothing was erased\n")) == (1, True)
        assert "customer_id:ada, email:ada@example.org" in asked.stdout
        (receipt,) = erased(line, "email:ADA@example.org", "--because", "consent")
        assert receipt["person_id"] == str(ADA)
        assert (receipt["because"], bool(receipt["finished_at"])) == ("consent", True)
        assert receipt["logs_until"] > receipt["at"]
        assert receipt["removed"]["dead letters"] == 1
        nothing_of(line, "ada", ADA)
        assert of_others(line) == before
        assert "0 differences" in line.cli("verify")
        line.cli("ledger")

        nothing_brings_her_back(line, hers)
        killed_anywhere_it_is_finished_by_the_next(line)
        anew = touchpoint("new", 0, {"customer_id": "ada"}) | {
            "occurred_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        }
        line.post(json.dumps([anew]).encode())
        line.settle()
        assert line.rows(f"SELECT count() FROM v_touchpoints WHERE person_id = '{ADA}'") == [(1,)]
        assert "0 differences" in line.cli("verify")


def nothing_brings_her_back(line: Line, hers: list[dict[str, Any]]) -> None:
    """Neither what the sources send again, nor what they had not sent yet, nor what was still on its way in the log."""
    named = [one for one in hers if one["identifiers"].get("customer_id") == "ada"]
    sent = [*hers, *(one | {"event_id": f"late-{one['event_id']}"} for one in named), customer("dan", 0)[0]]
    told = json.loads(line.post(json.dumps(sent).encode()))
    assert {one["reason"] for one in told["rejected"]} == {"erased"}
    refused = [sent[one["index"]] for one in told["rejected"]]
    assert all(one in refused for one in sent if one["identifiers"].get("customer_id") == "ada")
    assert all(one in refused for one in sent if "adas-phone" in one["identifiers"].values())
    records = [one for one in asyncio.run(read_topic(line.kafka, TOUCHPOINTS.name)) if b"ada" in (one.value or b"")]
    asyncio.run(again(line, records))
    line.settle()
    assert line.rows(f"SELECT count() FROM v_touchpoints WHERE person_id = '{ADA}'") == [(0,)]
    assert line.rows(f"SELECT count() FROM v_journeys WHERE person_id = '{ADA}'") == [(0,)]
    assert "0 differences" in line.cli("verify")
    assert len(erased(line, "customer_id:ada", "email:ada@example.org")) >= 1  # the sink has stored what was on its way
    nothing_of(line, "ada", ADA)
    assert erased(line, "customer_id:ada", "email:ada@example.org") == []  # and then there is nothing to do
    assert "0 differences" in line.cli("verify")


async def again(line: Line, records: list[Record]) -> None:
    producer = AIOKafkaProducer(**line.kafka.client())
    await producer.start()
    try:
        for one in records:
            await producer.send_and_wait(TOUCHPOINTS.name, one.value, key=one.key, partition=one.partition)
    finally:
        await producer.stop()


def nothing_of(line: Line, name: str, person: UUID) -> None:
    for table in ("person_touchpoints", "journeys", "journeys_by_person", "outcomes"):
        assert line.rows(f"SELECT count() FROM {table} WHERE person_id = '{person}'") == [(0,)], table
    for table in ("touchpoints", "identities", "dead_letters"):
        found = line.rows(f"SELECT * FROM {table}")
        for telling in (f"{name}@", f"{name}s-phone", f"customer_id:{name}", f"'customer_id': '{name}'"):
            assert telling not in str(found).casefold(), table


def killed_anywhere_it_is_finished_by_the_next(line: Line) -> None:
    ordered = line.rows("SELECT count() FROM erasures")[0][0]
    moments: tuple[Callable[[], Any], ...] = (
        lambda: line.rows("SELECT count() FROM erasures")[0][0] > ordered,
        lambda: line.rows("SELECT count() FROM erasing")[0][0],
        lambda: line.rows("SELECT count() FROM system.mutations WHERE NOT is_done OR create_time > now() - 2")[0][0],
    )
    for moment in moments:
        running = erase(line, "customer_id:cem")
        until(lambda: moment() or running.poll() is not None, "the erasure does not come to that")  # noqa: B023
        running.send_signal(signal.SIGKILL)
        running.communicate()
    last = erased(line, "customer_id:cem")
    assert line.rows(f"SELECT count() FROM v_touchpoints WHERE person_id = '{CEM}'") == [(0,)]
    assert line.rows("SELECT count() FROM v_erasures WHERE finished_at IS NULL") == [(0,)], last
    nothing_of(line, "cem", CEM)
    assert "0 differences" in line.cli("verify")
