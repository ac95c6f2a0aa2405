"""What `desireline watch` shows, read from where it is: Kafka's offsets, ClickHouse, the sink's metrics, the stack's state."""

from __future__ import annotations

import http.client
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from math import inf
from typing import Any, NamedTuple

from clickhouse_driver.errors import Error as ClickHouseError
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import CoordinatorNotAvailableError, KafkaError
from prometheus_client.parser import text_string_to_metric_families

from cli import figures
from cli.common import explain
from cli.figures import DropOff, OpenAlert, Refused, StageFigures, Transition
from cli.meters import Meter, quantile
from runtime.settings import ClickHouseSettings, KafkaSettings
from schemas import topics
from sinks.generations import live
from sinks.reader import reader

LEGS = ("identity", "stitch", "sink")
NOTHING_REFUSED = Refused(0, 0, "")
LISTED = 40  # lines of each list that are fetched; the screen shows as many as fit
HISTORY_SECONDS, HISTORY_STEP = 120, 4  # of the rate before the watching began
LATENCY_SECONDS = 60.0
LATEST = -1  # Kafka's name for the end of a log
CONNECT_MILLISECONDS = 10_000


class Process(NamedTuple):
    """One process of the local stack."""

    name: str
    status: str
    restarts: int


@dataclass
class Snapshot:
    """One look. Rates per second, latencies in seconds; what could not be read is in `problems` and as it was before."""

    at: float = 0.0  # Unix seconds
    definition: str = ""
    journeys: int = 0
    stages: Sequence[StageFigures] = ()
    drop_offs: Sequence[DropOff] = ()
    transitions: Sequence[Transition] = ()
    alerts: Sequence[OpenAlert] = ()
    refused: Refused = NOTHING_REFUSED
    accepted: int = 0
    rate: float = 0.0
    rates: Sequence[float] = ()
    lags: dict[str, int] = field(default_factory=dict)
    latency: tuple[float, float] | None = None  # p50, p99
    processes: Sequence[Process] = ()
    problems: list[str] = field(default_factory=list)


class Watcher:
    """Looks again and again. Entering and the first look raise what is wrong (errors of ClickHouse's and Kafka's clients,
    OSError); later looks note it and go on."""

    def __init__(self, kafka: KafkaSettings, clickhouse: ClickHouseSettings, definition: str | None) -> None:
        self._kafka_settings, self._clickhouse_settings = kafka, clickhouse
        self._wanted = definition
        self._opened = ExitStack()
        self._now = Snapshot()
        self._meter = Meter()
        self._generation = topics.Generation(1)
        self._latencies: deque[tuple[float, dict[float, float]]] = deque()

    def __enter__(self) -> Watcher:
        with ExitStack() as opened:
            self._reader = opened.enter_context(reader(self._clickhouse_settings))
            self._read_clickhouse()  # says at once when it is not there; Kafka's client takes its time
            self._kafka = KafkaAdminClient(
                **self._kafka_settings.client(),
                bootstrap_timeout_ms=CONNECT_MILLISECONDS,
                request_timeout_ms=CONNECT_MILLISECONDS,
            )
            opened.callback(self._kafka.close)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def first_look(self) -> Snapshot:
        """With the history of the rate. Raises what later looks only note."""
        ends = self._ends((topics.TOUCHPOINTS.name,), LATEST)
        now = time.time()
        for back in range(HISTORY_SECONDS, 0, -HISTORY_STEP):
            then = self._ends((topics.TOUCHPOINTS.name,), int((now - back) * 1000))
            self._meter.add(now - back, sum(ends[one] if offset < 0 else offset for one, offset in then.items()))
        self._read_kafka()
        return self.look()

    def look(self) -> Snapshot:
        """Everything as it is now."""
        self._now.at, self._now.problems = time.time(), []
        self._try(self._read_kafka)
        self._try(self._read_clickhouse)
        self._try(self._read_stack)
        return self._now

    def _try(self, read: Callable[[], None]) -> None:
        try:
            read()
        except (ClickHouseError, EOFError) as error:
            self._now.problems.append(explain(error, self._clickhouse_settings))
        except (KafkaError, OSError, http.client.HTTPException) as error:
            self._now.problems.append(f"no answer from Kafka at {self._kafka_settings.bootstrap}: {error}")

    # --- Kafka ---------------------------------------------------------------------------------------------------

    def _read_kafka(self) -> None:
        ends = self._ends([topic.name for topic in self._generation.topics], LATEST)
        self._now.accepted = sum(end for one, end in ends.items() if one.topic == topics.TOUCHPOINTS.name)
        self._meter.add(time.time(), self._now.accepted)
        self._now.rate = self._meter.rate(10)
        self._now.rates = self._meter.series(HISTORY_STEP, HISTORY_SECONDS // HISTORY_STEP)
        groups = {leg if leg == "sink" else self._generation.group(leg): leg for leg in LEGS}
        try:
            committed = self._kafka.list_group_offsets(list(groups))
        except CoordinatorNotAvailableError:  # a broker that has never had a group
            committed = {}
        self._now.lags = {
            groups[group]: sum(max(0, ends[one] - at.offset) for one, at in offsets.items() if one in ends)
            for group, offsets in committed.items()
        }

    def _ends(self, names: Sequence[str], spec: int) -> dict[TopicPartition, int]:
        """Offsets of all partitions of the topics: the end, or the first from a time on (ms; -1: there is none)."""
        described: Any = self._kafka.describe_topics(list(names))
        partitions = [
            TopicPartition(topic["name"], partition["partition_index"])
            for topic in described
            for partition in topic["partitions"]
        ]
        found = self._kafka.list_partition_offsets(dict.fromkeys(partitions, spec))
        return {one: at.offset for one, at in found.items()}

    # --- ClickHouse ----------------------------------------------------------------------------------------------

    def _read_clickhouse(self) -> None:
        self._generation = topics.Generation(live(self._reader))
        known = figures.definitions(self._reader)
        definition = self._wanted or self._now.definition or next(iter(known), "")
        if definition not in known:
            return  # the sink has not started yet
        self._now.definition, self._now.journeys = definition, known[definition]
        self._now.stages = figures.funnel(self._reader, definition)
        self._now.drop_offs = figures.newest_drop_offs(self._reader, definition, LISTED)
        self._now.transitions = figures.commonest_transitions(self._reader, definition, LISTED)
        self._now.alerts = figures.open_alerts(self._reader)
        self._now.refused = figures.refused(self._reader)

    # --- the local stack -----------------------------------------------------------------------------------------

    def _read_stack(self) -> None:
        """Processes, and from the sink's metrics the latency; nothing where the servers are the user's own."""
        if find_spec("psutil") is None:
            return
        from deploy.local import instance, state

        home = self._kafka_settings.home.resolve()
        if not instance.is_running(home):
            self._now.processes, self._now.latency = (), None
            return
        stack = state.load(home)
        self._now.processes = [Process(one.name, one.status, one.restarts) for one in stack.processes]
        if "sink_metrics" in stack.ports:
            self._read_latency(f"http://127.0.0.1:{stack.ports['sink_metrics']}/metrics")

    def _read_latency(self, url: str) -> None:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback address
                text = answer.read().decode()
        except (OSError, http.client.HTTPException):  # the sink restarts; its process says so
            return
        now, seen = time.time(), latency_buckets(text)
        if self._latencies and seen.get(inf, 0) < self._latencies[-1][1].get(inf, 0):
            self._latencies.clear()  # another process, which counts from 0
        self._latencies.append((now, seen))
        while self._latencies[0][0] < now - LATENCY_SECONDS:
            self._latencies.popleft()
        before = self._latencies[0][1] if len(self._latencies) > 1 else {}
        lately = {bound: count - before.get(bound, 0) for bound, count in seen.items()}
        p50, p99 = quantile(lately, 0.5), quantile(lately, 0.99)
        self._now.latency = None if p50 is None or p99 is None else (p50, p99)


def latency_buckets(metrics: str) -> dict[float, float]:
    """From the sink's metrics: seconds → journeys' batches whose touchpoints were that quickly in their rows, or quicker."""
    return {
        float(sample.labels["le"]): sample.value
        for family in text_string_to_metric_families(metrics)
        if family.name == "desireline_sink_latency_seconds"
        for sample in family.samples
        if sample.name.endswith("_bucket") and sample.labels["rows"] == "journeys"
    }
