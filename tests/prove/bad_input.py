"""Prove that bad input harms nobody: each kind gets the answer that the contract promises, and its neighbours are served.

    python -m tests.prove.bad_input        writes docs/evidence/bad_input.json; exit code 1 when a promise is broken

Through the collector: each record of `tests/bad_input.py` alone and between two good ones, and each bad request. Straight
into the `touchpoints` topic: each record of `tests/bad_topic.py` between two good ones, all in one chunk.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiokafka import AIOKafkaProducer

from runtime.kafka import partition_of
from schemas import topics
from tests import bad_input, bad_topic
from tests.bad_input import BadRequest, alone, as_json, between_neighbours, good
from tests.line import Line
from tests.prove import evidence

SETTLE_SECONDS = 120


def prove(line: Line) -> dict[str, Any]:
    """Send everything to a running, empty line whose source is `bad_input.SOURCE`; what was sent and what went wrong."""
    before = line.pids()
    requests = [
        *(alone(record) for record in bad_input.RECORDS),
        *(between_neighbours(record, number) for number, record in enumerate(bad_input.RECORDS)),
        *bad_input.REQUESTS,
    ]
    wrong = [found for request in requests for found in _answer_is_not_as_promised(line, request)]
    line.post(as_json([good(5_000), good(5_000, name="said_otherwise")]))
    addresses = asyncio.run(_write_foreign(line))
    line.settle(SETTLE_SECONDS)

    letters = line.rows("SELECT sha256, reason, path, address, leg FROM v_dead_letters")
    known = {(digest, reason, path) for digest, reason, path, address, _ in letters if address}
    seen = {digest for digest, *_ in letters}
    for request in requests:
        for kept, (_, reason, path) in zip(request.kept, request.rejected, strict=False):
            if (sha256(kept).hexdigest(), reason, path) not in known:
                wrong.append(f"{request.name}: not in the dead letters as {reason} at {path!r}")
    for record in bad_input.RECORDS:
        if not record.kept and sha256(record.raw).hexdigest() in seen:
            wrong.append(f"{record.name}: kept without consent")
    reasons = {(address, reason) for _, reason, _, address, _ in letters}
    told = {address for address, _ in reasons}
    wrong += [
        f"topic, {name}: no dead letter at {address}" for name, address in addresses.items() if address not in told
    ]
    if not any(reason == "conflicting" and leg == "identity" for _, reason, _, _, leg in letters):
        wrong.append("the same id with other content: no dead letter")

    wrong += _neighbours_lost(line)
    after = line.pids()
    if before != after:
        wrong.append(f"a process was replaced: {before} became {after}")
    return {
        "kinds": {
            "records over HTTP": len(bad_input.RECORDS),
            "requests over HTTP": len(bad_input.REQUESTS),
            "records in the topic": len(bad_topic.RECORDS),
        },
        "dead_letters": len(letters),
        "good_neighbours": 2 * len(bad_input.RECORDS) + len(bad_topic.RECORDS) + 1,
        "processes_before_and_after": [before, after],
        "broken_promises": wrong,
    }


def _answer_is_not_as_promised(line: Line, request: BadRequest) -> list[str]:
    """What is wrong with the collector's answer."""
    address = urlsplit(line.url)
    headers = dict(request.headers)
    if request.key is not None:
        key = line.write_key if request.key == bad_input.KEY else request.key
        headers["Authorization"] = f"Bearer {key}"
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    try:
        connection.request("POST", address.path, request.body, headers)
        answer = connection.getresponse()
        content = json.loads(answer.read())
    except (OSError, http.client.HTTPException) as error:
        return [f"{request.name}: no answer: {error!r}"]
    finally:
        connection.close()
    wrong = []
    if answer.status != request.status:
        wrong.append(f"{request.name}: answered {answer.status}, not {request.status}")
    if content.get("error") != request.error:
        wrong.append(f"{request.name}: error {content.get('error')}, not {request.error}")
    rejected = tuple((item["index"], item["reason"], item["path"]) for item in content.get("rejected", []))
    if rejected != request.rejected or content.get("accepted", 0) != request.accepted:
        wrong.append(f"{request.name}: accepted {content.get('accepted')}, rejected {rejected}, not {request.rejected}")
    return wrong


async def _write_foreign(line: Line) -> dict[str, str]:
    """All of `bad_topic.RECORDS` into one partition, each between good ones; the address of each by its name."""
    key = b"customer_id:foreign-0"
    partition = partition_of(key, line.partitions)
    producer = AIOKafkaProducer(**line.kafka.client(), linger_ms=50)
    await producer.start()
    try:
        sent = {}
        for number, (name, value) in enumerate(bad_topic.RECORDS):
            await producer.send(topics.TOUCHPOINTS.name, bad_topic.good(number), key=key, partition=partition)
            sent[name] = await producer.send(topics.TOUCHPOINTS.name, value, key=key, partition=partition)
        last = len(bad_topic.RECORDS)
        await producer.send_and_wait(topics.TOUCHPOINTS.name, bad_topic.good(last), key=key, partition=partition)
        return {name: f"{topics.TOUCHPOINTS.name}/{partition}/{(await future).offset}" for name, future in sent.items()}
    finally:
        await producer.stop()


def _neighbours_lost(line: Line) -> list[str]:
    """Good touchpoints that are not in the facts, or have no owner, or no journey."""
    ours = {f"good-{number}" for number in range(2 * len(bad_input.RECORDS))} | {"good-5000"}
    found = {own for (own,) in line.rows("SELECT source_event_id FROM v_touchpoint_facts WHERE source != 'foreign'")}
    wrong = [f"good touchpoints that are lost: {sorted(ours - found)}"] if ours - found else []
    foreign = {bad_topic.stored(number) for number in range(len(bad_topic.RECORDS) + 1)}
    ids = {json.loads(value)["event_id"] for value in foreign}
    for view in ("v_touchpoint_facts", "v_touchpoints"):
        there = {str(event) for (event,) in line.rows(f"SELECT event_id FROM {view}")}
        if lost := ids - there:
            wrong.append(f"good records of the topic that are not in {view}: {sorted(lost)}")
    if extra := [event for event in there if event.startswith("00000000-0000-5000") and event not in ids]:
        wrong.append(f"bad records of the topic that have a customer: {sorted(extra)}")
    owned = line.rows("SELECT count(), uniqExact(person_id) FROM v_journeys")
    expected = len(ids) + len(found)
    if owned != [(expected, expected)]:
        wrong.append(f"{owned} journeys and people, not {expected}: every good touchpoint is a customer of its own")
    return wrong


def main() -> int:
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="desireline-bad-input-") as folder,
        Line(Path(folder), source=bad_input.SOURCE) as line,
    ):
        report = prove(line)
    evidence.write("bad_input", {**evidence.stamp(), "seconds": round(time.monotonic() - began), **report})
    print(json.dumps(report, indent=2, ensure_ascii=False))
    return 1 if report["broken_promises"] else 0


if __name__ == "__main__":
    sys.exit(main())
