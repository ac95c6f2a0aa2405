"""The collector as a process, against a real Kafka: answers, acknowledgement, and what happens when the broker dies."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from kafka.admin import KafkaAdminClient, NewPartitions

from deploy.local.child import Child
from deploy.local.kafka import KafkaServer
from deploy.local.ports import free_port
from ingest.accept import Accepted, accept
from ingest.source import Source
from runtime.kafka import TopicSpec, create_topics, partition_counts, read_topic
from runtime.settings import KafkaSettings
from schemas.codec import decode_stored
from schemas.dead_letter import MAX_KEPT_BYTES, DeadLetter
from schemas.topics import COMMANDS, DEAD_LETTERS, TOUCHPOINTS
from tests.asking import HOST, Answer, ask, wait_for
from tests.bad_input import JSON, KEY, RECORDS, REQUESTS, SOURCE, BadRequest, alone, as_json, between_neighbours, good
from tests.conftest import Kafka
from tests.orders import erasure, give

pytestmark = pytest.mark.integration


@dataclass
class Collector:
    """A collector process."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path
    connection: http.client.HTTPConnection | None = field(default=None, repr=False)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        return ask(self.port, method, path, body, headers)

    def post(self, body: bytes, headers: Mapping[str, str] = JSON, key: str | None = KEY) -> Answer:
        authorization = {} if key is None else {"Authorization": f"Bearer {key}"}
        return self.request("POST", "/v1/touchpoints", body, {**headers, **authorization})

    def ready(self) -> bool:
        try:
            return self.request("GET", "/readyz").status == 200
        except OSError:
            return False


@pytest.fixture(scope="module")
def settings(kafka: Kafka) -> KafkaSettings:
    settings = KafkaSettings(bootstrap=kafka.bootstrap)
    create_topics(settings, [TopicSpec(topic.name, 4, topic.config) for topic in (TOUCHPOINTS, DEAD_LETTERS, COMMANDS)])
    return settings


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Collector]]:
    """Starts collectors, and kills them when the module's tests are through."""
    started: list[Collector] = []

    def starter(bootstrap: str, **environment: str) -> Collector:
        port = free_port()
        log = tmp_path_factory.mktemp("collector") / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "ingest.collector"],
                stdout=output,
                stderr=output,
                env=os.environ
                | {
                    "KAFKA_BOOTSTRAP": bootstrap,
                    "DESIRELINE_COLLECTOR_PORT": str(port),
                    "DESIRELINE_WRITE_KEYS": f"{SOURCE}={KEY},till=key-of-the-till@Europe/Madrid",
                }
                | environment,
            )
        collector = Collector(port, process, log)
        started.append(collector)

        def alive() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                return collector.request("GET", "/healthz").status == 200
            except OSError:
                return False

        wait_for(alive, 30, "the collector listens")
        return collector

    yield starter
    for collector in started:
        collector.process.kill()
        collector.process.wait()


@pytest.fixture(scope="module")
def collector(settings: KafkaSettings, start: Callable[..., Collector]) -> Collector:
    collector = start(settings.bootstrap)
    wait_for(collector.ready, 30, "ready")
    return collector


@pytest.fixture
def new(settings: KafkaSettings) -> Callable[[str], list[bytes]]:
    """The values that a topic got since the test began."""

    def read(topic: str, starts: Mapping[int, int] | None = None) -> list[Any]:
        return asyncio.run(read_topic(settings, topic, starts))

    ends: dict[str, dict[int, int]] = {TOUCHPOINTS.name: {}, DEAD_LETTERS.name: {}}
    for topic, offsets in ends.items():
        for record in read(topic):
            offsets[record.partition] = record.offset + 1
    return lambda topic: [record.value for record in read(topic, ends[topic])]


def test_every_bad_input_gets_its_promised_answer_and_is_kept(
    collector: Collector, new: Callable[[str], list[bytes]]
) -> None:
    """In this order, through one process: none dies, no neighbour is lost, everything is in the dead letters."""
    requests: list[BadRequest] = [*map(alone, RECORDS), *REQUESTS]
    requests += [
        between_neighbours(record, number) for number, record in enumerate(RECORDS, 100) if b"\n" not in record.raw
    ]
    accepted, kept = 0, []
    for request in requests:
        answer = collector.post(request.body, request.headers, request.key)
        assert answer.status == request.status, (request.name, answer)
        if request.error is not None:
            assert answer.content["error"] == request.error, (request.name, answer)
        else:
            rejected = [(item["index"], item["reason"], item["path"]) for item in answer.content["rejected"]]
            assert rejected == list(request.rejected), request.name
            assert all(item["message"] for item in answer.content["rejected"]), request.name
            assert answer.content["accepted"] == request.accepted, request.name
            kept += list(zip(request.kept, [item for item in request.rejected if item[1] != "no_consent"], strict=True))
        accepted += request.accepted

    assert collector.process.poll() is None
    assert len(new(TOUCHPOINTS.name)) == accepted > 200
    letters = [msgspec.json.decode(value, type=DeadLetter) for value in new(DEAD_LETTERS.name)]
    by_address = sorted(letters, key=lambda letter: [int(part) for part in letter.address.replace("/", "-").split("-")])
    assert len(by_address) == len(kept) > 200
    for letter, (raw, (index, reason, path)) in zip(by_address, kept, strict=True):
        assert (letter.reason, letter.path, letter.source, letter.leg) == (reason, path, SOURCE, "collector")
        assert letter.address.endswith(f"/{index}")
        assert letter.bytes == len(raw)
        assert letter.record == raw[:MAX_KEPT_BYTES].decode("utf-8", "backslashreplace").replace("\x00", "\\x00")


def test_an_accepted_touchpoint_is_in_its_partition_exactly_as_accepted(
    collector: Collector, settings: KafkaSettings
) -> None:
    touchpoints = [good(number, identifiers={"email": f"Ana.{number}@Example.com"}) for number in range(5000, 5040)]
    answer = collector.post(as_json(touchpoints))
    assert (answer.status, answer.content) == (200, {"accepted": 40, "rejected": []})
    records = {record.key: record for record in asyncio.run(read_topic(settings, TOUCHPOINTS.name))}
    partitions = set()
    for touchpoint in touchpoints:
        expected = accept(as_json(touchpoint), Source(SOURCE), 1_790_000_000_000)
        assert isinstance(expected, Accepted)
        record = records[expected.key]
        assert record.value is not None
        found, wanted = decode_stored.decode(record.value), decode_stored.decode(expected.value)
        assert abs(found.received_at - time.time() * 1000) < 60_000
        wanted.received_at = found.received_at
        assert found == wanted
        partitions.add(record.partition)
    assert len(partitions) == 4, "the keys spread"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": "Basic YS12YWxpZC13cml0ZS1rZXk6"},  # a-valid-write-key:
        {},
    ],
)
def test_the_write_key_comes_as_clients_send_it(collector: Collector, headers: dict[str, str]) -> None:
    path = "/v1/touchpoints" if headers else f"/v1/touchpoints?key={KEY}"
    assert collector.request("POST", path, as_json(good(1)), JSON | headers).status == 200


def test_a_source_with_a_zone_may_send_local_times(collector: Collector) -> None:
    local = as_json(good(1, occurred_at="2026-03-01T13:00:00"))
    assert collector.post(local, key="key-of-the-till").status == 200
    assert collector.post(local).status == 400


def test_the_kinds_of_identifiers_are_those_of_the_file(
    settings: KafkaSettings, start: Callable[..., Collector], new: Callable[[str], list[bytes]], tmp_path: Path
) -> None:
    file = tmp_path / "identity.yaml"
    file.write_text("{kinds: [{name: table}, {name: phone}], phone_region: MX, blocked_values: [takeaway]}")
    collector = start(settings.bootstrap, DESIRELINE_IDENTITY=str(file))
    wait_for(collector.ready, 30, "ready")
    sent: list[dict[str, str]] = [
        {"phone": "55 1234 5678", "table": "7"},
        {"phone": "55 1234 5679", "table": "Takeaway"},
        {"email": "ana@example.com"},
    ]
    answer = collector.post(as_json([good(number, identifiers=one) for number, one in enumerate(sent)]))
    assert [(item["index"], item["reason"]) for item in answer.content["rejected"]] == [(2, "unknown_identifier")]
    found = {one.address: one.identifiers for one in map(decode_stored.decode, new(TOUCHPOINTS.name))}
    assert found == {
        "table:7": {"table": "7", "phone": "+525512345678"},
        "phone:+525512345679": {"phone": "+525512345679"},
    }


@pytest.mark.parametrize(("content", "problem"), [(None, "cannot be read"), ("{kinds: []}", "at least 1 item")])
def test_a_collector_whose_identity_file_cannot_be_used_says_so_and_ends(
    tmp_path: Path, content: str | None, problem: str
) -> None:
    file = tmp_path / "identity.yaml"
    if content is not None:
        file.write_text(content)
    given = os.environ | {"DESIRELINE_WRITE_KEYS": f"{SOURCE}={KEY}", "DESIRELINE_IDENTITY": str(file)}
    ended = subprocess.run(
        [sys.executable, "-m", "ingest.collector"], env=given, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    (sentence,) = ended.stderr.splitlines()
    assert sentence.startswith(f"{file}: ")
    assert problem in sentence


def test_a_browser_may_post_from_any_page(collector: Collector) -> None:
    asked = {
        "Origin": "https://tacos.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    preflight = collector.request("OPTIONS", "/v1/touchpoints", headers=asked)
    assert preflight.status == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    answer = collector.post(as_json(good(1)), JSON | {"Origin": "https://tacos.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


def test_other_pages_are_json_too(collector: Collector) -> None:
    assert collector.request("GET", "/v1/touchpoints")[::2] == (405, {"error": "method_not_allowed"})
    assert collector.request("GET", "/nothing")[::2] == (404, {"error": "not_found"})
    document = collector.request("GET", "/v1/openapi.json").content
    assert set(document["paths"]) == {"/v1/touchpoints"}
    text = json.dumps(document)
    names = {part.split('"')[0] for part in text.split('"$ref": "#/components/schemas/')[1:]}
    assert names <= set(document["components"]["schemas"])


def test_metrics_tell_what_became_of_touchpoints(collector: Collector) -> None:
    def count(answer: str) -> float:
        lines = collector.request("GET", "/metrics").content.splitlines()
        start = f'desireline_collector_touchpoints_total{{answer="{answer}",source="{SOURCE}"}} '
        return sum(float(line.removeprefix(start)) for line in lines if line.startswith(start))

    before = count("accepted"), count("invalid")
    collector.post(as_json([good(1), good(2), {}]))
    assert (count("accepted"), count("invalid")) == (before[0] + 2, before[1] + 1)


def test_who_is_erased_is_refused_and_kept_nowhere(
    collector: Collector, settings: KafkaSettings, start: Callable[..., Collector], new: Callable[[str], list[bytes]]
) -> None:
    """Accepted before the order, refused after it, accepted when it occurred later; also by a collector that starts then."""

    def hers(number: int, **changes: Any) -> dict[str, Any]:
        return good(number, **{"identifiers": {"email": "Ada@erased.example", "anonymous_id": "a1"}} | changes)

    def refused(collector: Collector, touchpoint: dict[str, Any]) -> bool:
        answer = collector.post(as_json([touchpoint]))
        if answer.status == 200:
            return False
        (item,) = answer.content["rejected"]
        assert (answer.status, item["reason"]) == (400, "erased"), answer
        assert item["path"] in ("identifiers.email", "event_id")
        assert "not kept; do not send it again" in item["message"]
        return True

    def stored() -> list[str | None]:
        return [decode_stored.decode(value).source_event_id for value in new(TOUCHPOINTS.name)]

    assert not refused(collector, hers(9001))
    event = UUID(Source(SOURCE).event_id("good-9010"))
    give(settings, erasure(1_772_366_400_000, ["email:ada@erased.example"], [event]))
    wait_for(lambda: refused(collector, hers(9001)), 5, "the collector has heard of it")
    began = stored()
    assert set(began) == {"good-9001"}

    later = start(settings.bootstrap)
    wait_for(later.ready, 30, "ready")
    neighbours = [good(9002), hers(9003), hers(9004, name=17), hers(9005, occurred_at="2026-03-01T12:00:00.001Z")]
    for one in (later, collector):
        assert refused(one, hers(9001))
        assert refused(one, hers(9010, identifiers={"phone": "+52 55 1234 5678"}, revision=3))
        answer = one.post(as_json(neighbours))
        assert (answer.status, answer.content["accepted"]) == (200, 2)
        assert [(item["index"], item["reason"]) for item in answer.content["rejected"]] == [
            (1, "erased"),
            (2, "erased"),
        ]
    assert stored()[len(began) :].count("good-9005") == 2
    assert set(stored()) == {"good-9001", "good-9002", "good-9005"}
    assert new(DEAD_LETTERS.name) == []
    metrics = later.request("GET", "/metrics").content
    assert f'desireline_collector_touchpoints_total{{answer="erased",source="{SOURCE}"}} 4.0' in metrics


def test_with_another_secret_nobody_is_known(settings: KafkaSettings, start: Callable[..., Collector]) -> None:
    give(settings, erasure(1_772_366_400_000, ["email:bea@erased.example"], secret=b"of this company"))
    her = as_json(good(1, identifiers={"email": "bea@erased.example"}))
    for secret, status in (("of this company", 400), ("of another one", 200)):
        collector = start(settings.bootstrap, DESIRELINE_SECRET=secret)
        wait_for(collector.ready, 30, "ready")
        assert collector.post(her).status == status


def knows(collector: Collector, kafka: KafkaSettings, name: str) -> None:
    """Erases somebody; returns when the collector has heard of it."""
    touchpoint = as_json(good(1, identifiers={"email": name}))
    assert collector.post(touchpoint).status == 200
    give(kafka, erasure(1_772_366_400_000, [f"email:{name}"]))
    wait_for(lambda: collector.post(touchpoint).status == 400, 20, f"{name} is refused")


def test_erasures_are_followed_after_the_broker_was_away(
    kafka: Kafka, settings: KafkaSettings, start: Callable[..., Collector]
) -> None:
    collector = start(settings.bootstrap)
    wait_for(collector.ready, 30, "ready")
    knows(collector, settings, "before@erased.example")
    kafka.kill()
    wait_for(lambda: not collector.ready(), 30, "it is noticed that the broker is away")
    kafka.start()
    wait_for(collector.ready, 30, "ready again")
    assert collector.post(as_json(good(1, identifiers={"email": "before@erased.example"}))).status == 400
    for number in range(3):  # whatever partition each comes to
        knows(collector, settings, f"after-{number}@erased.example")


def test_nothing_is_taken_in_before_it_is_known_who_is_erased(tmp_path: Path, start: Callable[..., Collector]) -> None:
    """A broker of its own, that has the topic later than the others; and then more partitions of it."""
    port = free_port()
    server = KafkaServer(tmp_path / "data", port, free_port({port}))
    child = Child("kafka", server.argv(), tmp_path / "kafka.log")
    try:
        child.start()
        child.wait_until(server.ready, 120)
        settings = KafkaSettings(bootstrap=server.bootstrap)
        create_topics(settings, [TopicSpec(topic.name, 1, topic.config) for topic in (TOUCHPOINTS, DEAD_LETTERS)])
        collector = start(settings.bootstrap)
        missing = "it cannot be read who is erased: KafkaConnectionError: no topic commands"
        wait_for(lambda: missing in str(collector.request("GET", "/readyz").content), 30, "it says what is missing")
        answer = collector.post(as_json(good(1)))
        assert (answer.status, answer.content["error"]) == (503, "broker_away")
        assert missing in answer.content["message"]

        create_topics(settings, [TopicSpec(COMMANDS.name, 1, COMMANDS.config)])
        wait_for(collector.ready, 30, "ready")
        knows(collector, settings, "one@erased.example")
        admin = KafkaAdminClient(**settings.client())
        try:
            admin.create_partitions({COMMANDS.name: NewPartitions(total_count=4)})
        finally:
            admin.close()
        grown = {COMMANDS.name: 4}
        wait_for(lambda: asyncio.run(partition_counts(settings, [COMMANDS.name])) == grown, 20, "it has grown")
        for number in range(6):
            knows(collector, settings, f"grown-{number}@erased.example")
    finally:
        child.kill()


def test_too_much_in_flight_is_429(settings: KafkaSettings, start: Callable[..., Collector]) -> None:
    """A limit of 20 kB, and requests that need 16 kB each for the body and as much for the records."""
    collector = start(
        settings.bootstrap, DESIRELINE_COLLECTOR_MAX_WAITING_BYTES="20000", DESIRELINE_COLLECTOR_LINGER="0.2"
    )
    wait_for(collector.ready, 30, "ready")
    body = as_json([good(number, properties={"text": "x" * 400}) for number in range(24)])
    answer = collector.post(body)
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.content["error"] == "overloaded"
    assert collector.post(as_json(good(1))).status == 200, "small ones still pass"


def test_a_collector_without_its_broker_is_alive_and_says_503(start: Callable[..., Collector]) -> None:
    collector = start(f"{HOST}:{free_port()}")
    ready = collector.request("GET", "/readyz")
    assert (ready.status, "no Kafka at" in ready.content["message"]) == (503, True)
    answer = collector.post(as_json(good(1)))
    assert (answer.status, answer.content["error"]) == (503, "broker_away")
    assert int(answer.headers["retry-after"]) >= 1


def test_nothing_acknowledged_is_lost_when_the_broker_is_killed(
    kafka: Kafka, settings: KafkaSettings, start: Callable[..., Collector]
) -> None:
    """Two clients send without pause while the broker is killed twice. Every 200 is in the log, everything else was 429 or
    503, and the collector recovers by itself."""
    collector = start(settings.bootstrap, DESIRELINE_COLLECTOR_ACK_TIMEOUT="3")
    wait_for(collector.ready, 30, "ready")
    stop = threading.Event()
    acknowledged: list[str] = []
    refused: list[int] = []

    def client(name: str) -> None:
        number = 0
        while not stop.is_set():
            names = [f"{name}-{number}-{item}" for item in range(5)]
            body = as_json([good(1, event_id=name, identifiers={"customer_id": name}) for name in names])
            answer = collector.post(body)
            if answer.status == 200:
                acknowledged.extend(names)
            else:
                refused.append(answer.status)
                assert "retry-after" in answer.headers
                time.sleep(0.02)
            number += 1

    clients = [threading.Thread(target=client, args=(f"client-{n}",), daemon=True) for n in range(2)]
    for thread in clients:
        thread.start()
    try:
        for _ in range(2):
            sent, failed = len(acknowledged), len(refused)
            wait_for(lambda sent=sent: len(acknowledged) > sent + 100, 30, "touchpoints flow")  # type: ignore[misc]
            kafka.kill()
            wait_for(lambda failed=failed: len(refused) > failed, 30, "clients are told")  # type: ignore[misc]
            kafka.start()
            wait_for(collector.ready, 30, "ready again")
        sent = len(acknowledged)
        wait_for(lambda: len(acknowledged) > sent + 100, 30, "touchpoints flow again")
    finally:
        stop.set()
    for thread in clients:
        thread.join(30)
        assert not thread.is_alive()
    assert set(refused) <= {429, 503}
    assert collector.process.poll() is None
    records = asyncio.run(read_topic(settings, TOUCHPOINTS.name))
    stored = [decode_stored.decode(record.value).source_event_id for record in records if record.value is not None]
    assert set(acknowledged) <= set(stored)


def test_sigterm_answers_what_was_taken_in_and_ends_well(
    settings: KafkaSettings, start: Callable[..., Collector]
) -> None:
    collector = start(settings.bootstrap, DESIRELINE_COLLECTOR_LINGER="1")
    wait_for(collector.ready, 30, "ready")
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(collector.post(as_json(good(1))).status))
    thread.start()
    wait_for(lambda: "bytes_in_flight 0.0" not in collector.request("GET", "/metrics").content, 10, "it is taken in")
    collector.process.send_signal(signal.SIGTERM)
    assert collector.process.wait(20) == 0
    thread.join(10)
    assert answers == [200]
