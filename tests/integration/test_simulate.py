"""Simulated touchpoints over real sockets: a collector that is busy, absent or refuses, and Kafka itself."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from typer.testing import CliRunner

from cli.main import app
from ingest.simulator import outputs
from ingest.simulator.http_output import HttpOutput
from ingest.simulator.outputs import OutputError
from schemas.codec import decode_stored
from schemas.topics import TOUCHPOINTS

pytestmark = pytest.mark.integration


class Collector(ThreadingHTTPServer):
    """Answers what the test says, in turn, and then accepts everything."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self.requests: list[list[dict[str, Any]]] = []
        self.keys: set[str] = set()
        self.address = f"http://127.0.0.1:{self.server_port}"

    @property
    def accepted(self) -> list[dict[str, Any]]:
        return [touchpoint for request in self.requests for touchpoint in request]


class Handler(BaseHTTPRequestHandler):
    server: Collector
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.keys.add(self.headers["Authorization"])
        status, content = self.server.answers.pop(0) if self.server.answers else (200, {"accepted": 1, "rejected": []})
        if status == 200:
            self.server.requests.append([json.loads(line) for line in body.splitlines()])
        answer = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        if status == 429:
            self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def simulate(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["simulate", *map(str, arguments)])


def test_all_of_it_arrives_in_each_customers_order_also_when_the_collector_is_busy(
    collector: Collector, tmp_path: Path
) -> None:
    collector.answers = [(429, {}), (503, {}), (200, {"accepted": 499, "rejected": [{"index": 0}]}), (429, {})]
    ledger = tmp_path / "ledger.jsonl"
    result = simulate("--customers", 300, "--to-http", collector.address, "--key", "secret-key", "--ledger", ledger)
    assert result.exit_code == 0, result.output
    assert "1 were rejected" in result.output
    assert collector.keys == {"Bearer secret-key"}
    summary = json.loads(ledger.read_bytes().splitlines()[-1])
    assert len(collector.accepted) == summary["touchpoints"] > 1_000
    times: dict[str, list[str]] = defaultdict(list)
    for touchpoint in collector.accepted:
        times[touchpoint["event_id"].rpartition("-")[0]].append(touchpoint["occurred_at"])
    assert all(of_one == sorted(of_one) for of_one in times.values())


def test_a_key_that_is_not_known_is_told_and_the_ledger_is_whole(collector: Collector, tmp_path: Path) -> None:
    collector.answers = [(401, {"error": "unknown_key"})]
    ledger = tmp_path / "ledger.jsonl"
    result = simulate("--customers", 300, "--to-http", collector.address, "--ledger", ledger)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "unknown_key" in result.output
    assert json.loads(ledger.read_bytes().splitlines()[-1])["record"] == "summary"


def test_a_collector_that_stays_away_is_given_up(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "GIVE_UP_AFTER", 0.3)
    collector.answers = [(503, {})] * 100
    output = HttpOutput(collector.address, "key")
    output.write(b"{}")
    with pytest.raises(OutputError, match="answered 503"):
        output.flush()


def test_it_writes_into_kafka_what_a_collector_would(
    kafka: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", kafka.bootstrap)
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    try:
        existing = admin.list_topics()
        if TOUCHPOINTS.name not in existing:
            admin.create_topics([NewTopic(TOUCHPOINTS.name, 4, 1, topic_configs=TOUCHPOINTS.config)])
    finally:
        admin.close()
    partitions = [TopicPartition(TOUCHPOINTS.name, number) for number in range(4)]
    consumer = KafkaConsumer(bootstrap_servers=kafka.bootstrap, enable_auto_commit=False)
    try:
        before = consumer.end_offsets(partitions)
        ledger = tmp_path / "ledger.jsonl"
        result = simulate("--customers", 3000, "--to-kafka", "--ledger", ledger)
        assert result.exit_code == 0, result.output
        after = consumer.end_offsets(partitions)
        summary = json.loads(ledger.read_bytes().splitlines()[-1])
        assert sum(after.values()) - sum(before.values()) == summary["touchpoints"]
        consumer.assign(partitions)
        for partition in partitions:
            consumer.seek(partition, before[partition])
        records = [record for found in consumer.poll(timeout_ms=10_000).values() for record in found]
        assert records
        for record in records:
            assert decode_stored.decode(record.value).address.encode() == record.key
    finally:
        consumer.close()
