"""The whole line on real servers: whatever is killed, however it arrives, ClickHouse holds what an offline computation says."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ingest.simulator.ledger import Ledger
from ingest.simulator.scenario import Scenario
from ingest.simulator.simulation import simulate
from runtime.kafka import partition_of
from schemas import topics
from schemas.definition import Rules, load_definitions
from schemas.identity import home, person_id
from tests import expected
from tests.line import Line
from tests.sender import Sender, batches

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

SOURCE = "vivan_los_tacos"
PARTITIONS, RESIZED = 4, 6
AS_OF = 1_767_225_600_000  # 2026-01-01: every deadline is past
WRONG: list[dict[str, Any]] = [
    {"event_id": "bad-1", "channel": "web"},
    {"event_id": "bad-2", "channel": "web", "name": 17},
]


def simulated() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Touchpoints in order of arrival, some twice, some late, some corrected; and what is true of those who signed in."""
    ledger: list[bytes] = []
    known = Scenario(seed=1, customers=30, signed_in=True, duplicates=0.1, late=0.1, corrections=0.2)
    company = simulate(known, Ledger(ledger.append))
    touchpoints = [json.loads(sent.touchpoint) for sent in company]
    company.ledger.finish(company.reached)
    anonymous = Scenario(seed=2, customers=30, duplicates=0.1, late=0.1, corrections=0.2, shared_devices=0.3)
    touchpoints += [json.loads(sent.touchpoint) for sent in simulate(anonymous)]
    return touchpoints, [json.loads(line) for line in ledger]


def shuffled(touchpoints: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each is moved by a few hundred places at most."""
    chance = random.Random(3)
    return [t for _, t in sorted(enumerate(touchpoints), key=lambda place: place[0] + chance.uniform(0, 300))]


def conflicting(touchpoints: list[dict[str, Any]]) -> dict[str, Any]:
    """The id of a touchpoint without revisions, with other content; to be sent after it. The resize moves its customer."""

    def moves(identifiers: dict[str, str]) -> bool:
        key = home(identifiers).encode()
        return partition_of(key, PARTITIONS) != partition_of(key, RESIZED)

    found = next(t for t in touchpoints if "revision" not in t and moves(t["identifiers"]))
    return found | {"name": "said_otherwise"}


def send(line: Line, touchpoints: list[dict[str, Any]], rate: float | None = None) -> Sender:
    return Sender(line.url, line.write_key, batches(touchpoints, 20), rate=rate).start()


def dead_letters(line: Line) -> Counter[tuple[str, str, str]]:
    """Leg, reason and path, each event once: a resend is refused again."""
    event = "JSONExtractString(record, 'event_id')"
    return Counter(line.rows(f"SELECT leg, reason, path FROM v_dead_letters GROUP BY leg, reason, path, {event}"))


def test_the_line_answers_like_a_batch_whatever_happens(tmp_path: Path) -> None:
    touchpoints, ledger = simulated()
    conflict = conflicting(touchpoints)

    with Line(tmp_path / "undisturbed", source=SOURCE) as line:
        send(line, touchpoints).wait(60)
        send(line, [*WRONG, conflict]).wait(60)
        line.settle(120)
        undisturbed = line.digests(AS_OF)
        check(line, touchpoints, ledger)
        line.pids()

    with Line(tmp_path / "disturbed", source=SOURCE, partitions=PARTITIONS) as line:
        mixed = shuffled(touchpoints)
        first, second = mixed[: len(mixed) // 2], mixed[len(mixed) // 2 :]
        with_each_process_killed(line, first)
        line.settle(120, revive=True)
        resized(line, RESIZED)
        sender = send(line, second)
        sender.wait(60)
        send(line, [*WRONG, conflict]).wait(60)
        line.settle(120)
        assert line.digests(AS_OF) == undisturbed
        check(line, touchpoints, ledger)
        # Everything once more: nothing changes, also where the id of a touchpoint comes with other content.
        send(line, [*mixed, *WRONG, conflict]).wait(60)
        line.settle(120)
        assert line.digests(AS_OF) == undisturbed
        check(line, touchpoints, ledger)
        line.pids()


def with_each_process_killed(line: Line, touchpoints: list[dict[str, Any]]) -> None:
    """`kill -9` of one process after another while touchpoints come in; each comes back before the next is killed."""
    sender = send(line, touchpoints, rate=100)
    for name in ("worker-1", "sink", "collector", "clickhouse", "kafka"):
        done = sender.acknowledged
        deadline = time.monotonic() + 60
        while sender.running and sender.acknowledged == done and time.monotonic() < deadline:
            time.sleep(0.02)
        line.kill(name)
        line.start(name)
        line.revive()
    sender.wait(120)
    assert not sender.rejected


def resized(line: Line, partitions: int) -> None:
    """As the operations page says: stop collectors and workers, resize, start them again. The sink goes on."""
    assert line.stop("collector") == 0
    assert line.stop("worker-1") == 0
    line.cli("topics", "resize", str(partitions))
    line.start("worker-1")
    line.start("collector")


def check(line: Line, sent: list[dict[str, Any]], ledger: list[dict[str, Any]]) -> None:
    """Touchpoints, journeys, dead letters and the completed journeys' funnel against what was sent and what is true."""
    definition = load_definitions()[0]
    now = int(time.time() * 1000)
    stored = expected.stored([json.dumps(touchpoint).encode() for touchpoint in sent], SOURCE, now)
    facts = line.rows("SELECT event_id, name FROM v_touchpoint_facts")
    assert sorted(facts) == sorted((t.event_id, t.name) for t in stored.values())

    people = expected.people(stored, Rules([definition]))
    owned = Counter(person.hex for (person,) in line.rows("SELECT person_id FROM v_touchpoints"))
    assert owned == {person: len(events) for person, events in people.items()}

    assert not expected.differences(expected.journey_rows_in(line), expected.journey_rows(people, definition, now))

    assert dead_letters(line) == {
        ("collector", "invalid", "name"): 2,
        ("identity", "conflicting", "event_id"): 1,
    }

    # The ledger against counts made elsewhere: what lies in the log, and what the collector refused.
    log = sum(end for tp, end in line.standing().ends.items() if tp.topic == topics.TOUCHPOINTS.name)
    ((counted, stands),) = line.rows("SELECT sum(sent - missing), sum(stored) FROM v_ledger")
    ((refused,),) = line.rows("SELECT count() FROM v_dead_letters WHERE leg = 'collector'")  # a resend once more
    assert counted == log + refused
    assert stands == line.rows("SELECT uniqExact(event_id) FROM touchpoints")[0][0]
    assert "0 differences" in line.cli("verify")

    told = [entry for entry in ledger if entry["record"] == "journey" and entry["status"] == "completed"]
    customers = [person_id(f"customer_id:{entry['identifier']['customer_id']}", expected.SECRET).hex for entry in told]
    asked = "SELECT stages FROM v_journeys WHERE status = 'completed' AND has({people:Array(UUID)}, person_id)"
    entered = Counter(stage for (stages,) in line.rows(asked, {"people": customers}) for stage in stages)
    names = [stage.name for stage in definition.stages]
    assert {names[rank - 1]: count for rank, count in entered.items()} == Counter(
        stage for entry in told for stage in entry["entered"]
    )
