"""The alerts process on a real Kafka, a real ClickHouse and a real web server that is not always well."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from alerts.causes import Cause, alert
from alerts.chart import Run
from alerts.counts import MINUTE_MS, Key, Series
from alerts.message import Message, message, signature
from alerts.settings import AlertSettings
from alerts.webhooks import Stopped, Webhooks
from runtime.kafka import TopicSpec, create_topics, read_topic, reader
from runtime.settings import KafkaSettings
from schemas.alert import Alert
from schemas.codec import encode
from schemas.topics import TOPICS
from tests.conftest import Kafka
from tests.integration.conftest import Tables
from tests.sink_records import journey, touchpoint
from tests.stored_history import assigned, store

pytestmark = pytest.mark.integration
DAY_MS = 86_400_000
SECRET = "of the receiver"
SECONDS = 90.0
SINK = "nobody-s-sink"


class Receiver:
    """A web server that answers as told, then with 200; `seen` holds (path, headers, body)."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                outer.seen.append((self.path, dict(self.headers), content))
                self.send_response(outer.answers.pop(0) if outer.answers else 200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


def a_message() -> Message:
    return message(an_alert())


def an_alert(channel: str = "web", stage: int = 4, at: int = 29_000_000) -> Alert:
    return alert(
        Cause((Key(Series("purchase", stage, channel), "progress"),), at, Run(at - 5, 50, 20, 40.0, 8.0)), "opened", at
    )


def webhooks(url: str, **changes: Any) -> Webhooks:
    settings = AlertSettings(webhooks=url, webhook_secret=SECRET, **changes)
    return Webhooks(settings, settings.addresses, asyncio.Event(), first_pause=0.01)


def test_it_is_tried_again_under_the_same_id_until_it_is_taken(receiver: Receiver) -> None:
    receiver.answers = [503, 500, 429]
    assert asyncio.run(webhooks(f"{receiver.url}/hook").post(a_message())) == {}
    assert len(receiver.seen) == 4
    assert len({sent["Idempotency-Key"] for _, sent, _ in receiver.seen}) == 1
    path, sent, content = receiver.seen[-1]
    at = int(sent["X-Desireline-Signature"].split(",")[0].removeprefix("t="))
    assert path == "/hook"
    assert sent["X-Desireline-Signature"] == signature(content, SECRET, at)
    assert json.loads(content)["text"].startswith("*Opened*: purchase · 4 · web")


def test_after_the_last_try_it_says_what_was_answered(receiver: Receiver) -> None:
    receiver.answers = [500] * 9
    (said,) = asyncio.run(webhooks(receiver.url, webhook_tries=3).post(a_message())).values()
    assert said.startswith("answered 500")
    assert len(receiver.seen) == 3


@pytest.mark.parametrize("answer", [400, 404, 410, 302])
def test_what_no_repetition_helps_is_not_repeated(receiver: Receiver, answer: int) -> None:
    receiver.answers = [answer]
    assert len(asyncio.run(webhooks(receiver.url).post(a_message()))) == 1
    assert len(receiver.seen) == 1


def test_one_address_that_is_away_does_not_keep_the_other_waiting(receiver: Receiver) -> None:
    nobody = Receiver()
    nobody.close()
    said = asyncio.run(webhooks(f"{nobody.url}/s3cret,{receiver.url}", webhook_tries=2).post(a_message()))
    assert list(said) == [nobody.url.removeprefix("http://")]
    assert "s3cret" not in str(said)
    assert len(receiver.seen) == 1


def test_stopping_ends_the_waiting_at_once(receiver: Receiver) -> None:
    receiver.answers = [500] * 9

    async def stopped() -> None:
        stop = asyncio.Event()
        posting = asyncio.create_task(Webhooks(AlertSettings(), [receiver.url], stop, 60.0).post(a_message()))
        while not receiver.seen:
            await asyncio.sleep(0.01)
        stop.set()
        with pytest.raises(Stopped):
            await posting

    asyncio.run(asyncio.wait_for(stopped(), 10))


# --- the whole process ------------------------------------------------------------------------------------------------


def lately(now: int) -> Iterator[bytes]:
    """Checkouts of forty days, ten a minute at this time of the day; in the last twenty minutes two of three fail."""
    chance, number = Random(5), 0
    for day in range(40, -1, -1):
        for minute in range(-70, 1 if day == 0 else 70):
            fails = day == 0 and minute > -20
            for _ in range(10):
                at = now - day * DAY_MS + minute * MINUTE_MS - chance.randrange(MINUTE_MS)
                pays = chance.random() < (0.27 if fails else 0.8)
                times = [at, at + chance.randrange(20_000, 170_000)] if pays else [at]
                number += 1
                yield journey(
                    number, started_at=times[0], last_at=times[-1], path_time=times, path_stage=[4, 5][: len(times)],
                    path_channel=["web"] * len(times), path_touchpoint=["checkout", "paid"][: len(times)],
                    completed_at=times[1] if pays else 0,
                )  # fmt: skip


class Process:
    """`alerts.app`, on the servers of the test."""

    def __init__(self, tables: Tables, kafka: Kafka, receiver: Receiver, folder: Path) -> None:
        self._environment = os.environ | {
            "KAFKA_BOOTSTRAP": kafka.bootstrap,
            "CLICKHOUSE_URL": tables.settings.url,
            "CLICKHOUSE_NATIVE_PORT": str(tables.settings.native_port),
            "DESIRELINE_SINK_GROUP": SINK,
            "DESIRELINE_ALERTS_WEBHOOKS": receiver.url,
            "DESIRELINE_FEEDBACK_WEBHOOKS": f"{receiver.url}/feedback",
            "DESIRELINE_ALERTS_SECRET": SECRET,
            "DESIRELINE_ALERTS_TRIES": "2",
            "DESIRELINE_ALERTS_SETTLE": "1",
            "DESIRELINE_ALERTS_LINK": "https://d.example/{alert_id}",
        }
        self._log = folder / "alerts.log"

    def until(self, condition: Callable[[], bool]) -> None:
        """Run it until then, and stop it in peace."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "alerts.app"], env=self._environment, stderr=log, stdout=log
            )
            try:
                give_up = time.monotonic() + SECONDS
                while not condition():
                    assert process.poll() is None, self._log.read_text()
                    assert time.monotonic() < give_up, self._log.read_text()
                    time.sleep(0.1)
            finally:
                process.send_signal(signal.SIGTERM)
                assert process.wait(20) == 0, self._log.read_text()


@pytest.mark.long
def test_an_alert_reaches_topic_and_webhook_once_and_is_resolved_after_a_restart(
    tables: Tables, own_kafka: Kafka, receiver: Receiver, tmp_path: Path
) -> None:
    settings = KafkaSettings(bootstrap=own_kafka.bootstrap)
    create_topics(settings, [TopicSpec(topic.name, 1, topic.config) for topic in TOPICS])

    def said() -> list[bytes]:
        return [record.value for record in asyncio.run(read_topic(settings, "alerts")) if record.value]

    tables.write("journeys", lately(int(time.time() * 1000)))
    process = Process(tables, own_kafka, receiver, tmp_path)
    receiver.answers = [500]
    process.until(lambda: len(receiver.seen) >= 2)
    (opened,) = (msgspec.json.decode(value, type=Alert) for value in said())
    assert (opened.change, opened.channel, opened.stage_name, opened.measure) == (
        "opened",
        "web",
        "decision",
        "progress",
    )
    assert opened.link == f"https://d.example/{opened.alert_id}"
    assert opened.customers
    assert all(one.did == ["web·checkout"] for one in opened.customers)
    posted = json.loads(receiver.seen[-1][2])["alert"]
    assert posted["alert_id"] == opened.alert_id

    # The table knows it, and another one that has ended while nobody watched: it is resolved, and nothing is opened again.
    ended = an_alert("call_center", stage=2, at=int(time.time()) // 60 - 60)
    tables.write("alerts", [*said(), encode(ended)])
    assert tables.ask("SELECT status, count() FROM v_alerts GROUP BY status") == [("open", 2)]
    asyncio.run(sunk(settings))
    receiver.seen.clear()
    receiver.answers = [410]
    process.until(lambda: bool(receiver.seen) and bool(letters(settings)))
    changes = [msgspec.json.decode(value, type=Alert) for value in said()[1:]]
    resolved = [one for one in changes if one.alert_id == ended.alert_id]
    assert [one.change for one in resolved] == ["resolved"]
    assert not [one for one in changes if one.change == "opened"]
    tables.write("alerts", [encode(one) for one in resolved])
    assert tables.ask("SELECT status, count() FROM v_alerts GROUP BY status ORDER BY status") == [
        ("open", 1),
        ("resolved", 1),
    ]
    letter = letters(settings)[-1]
    assert letter["leg"] == "alerts"
    assert letter["message"].endswith("answered 410: ")


@pytest.mark.long
def test_a_detractor_is_told_with_the_story_once_it_is_stored(
    tables: Tables, own_kafka: Kafka, receiver: Receiver, tmp_path: Path
) -> None:
    settings = KafkaSettings(bootstrap=own_kafka.bootstrap)
    create_topics(settings, [TopicSpec(topic.name, 1, topic.config) for topic in TOPICS])
    now = int(time.time() * 1000)
    felt = {"kind": "nps", "score": 1, "text": "never again"}
    steps = [("store", "waiting", None), ("store", "paid", None), ("email", "survey_answered", felt)]
    sent = [
        (
            0,
            touchpoint(
                number, channel=channel, name=name, occurred_at=now - 9_000 + number, received_at=now, feedback=one
            ),
        )
        for number, (channel, name, one) in enumerate(steps)
    ]
    people = [encode(assigned(*one)) for one in sent]
    process = Process(tables, own_kafka, receiver, tmp_path)
    state = {"sent": False, "stored": False}

    def told() -> bool:
        # `ready` is over when the group has committed its place; the rows come after the record, as they do live
        if not state["sent"] and committed(settings, "feedback-webhooks", "people"):
            asyncio.run(write_topic(settings, "people", people))
            state["sent"] = True
        elif state["sent"] and not state["stored"]:
            store(tables.settings, sent, now)
            state["stored"] = True
        return bool(receiver.seen)

    process.until(told)
    ((path, headers, content),) = receiver.seen
    assert path == "/feedback"
    assert headers["X-Desireline-Signature"]
    said = json.loads(content)
    assert said["follow_up"]["about"] == {"channel": "store", "touchpoint": "paid"}
    assert [step["touchpoint"] for step in said["follow_up"]["did"]] == ["waiting", "paid", "survey_answered"]
    assert "never again" in said["text"]


def committed(settings: KafkaSettings, group: str, topic: str) -> bool:
    async def asked() -> bool:
        async with reader(settings, group_id=group) as consumer:
            return await consumer.committed(TopicPartition(topic, 0)) is not None

    return asyncio.run(asked())


async def write_topic(settings: KafkaSettings, topic: str, values: list[bytes]) -> None:
    producer = AIOKafkaProducer(**settings.client())
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def sunk(settings: KafkaSettings) -> None:
    """What the sink that is not there would say: it has written everything."""
    async with reader(settings, group_id=SINK) as consumer:
        partitions = [TopicPartition(topic, 0) for topic in ("alerts", "dead_letters")]
        consumer.assign(partitions)
        await consumer.commit(dict(await consumer.end_offsets(partitions)))


def letters(settings: KafkaSettings) -> list[dict[str, Any]]:
    found = [json.loads(record.value) for record in asyncio.run(read_topic(settings, "dead_letters")) if record.value]
    return [one for one in found if one["reason"] == "undeliverable"]
