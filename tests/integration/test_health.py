"""What processes say of themselves: whether they work, how far behind they are, how much room the disks have."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.ports import LOOPBACK, free_port
from runtime import health
from runtime.settings import ClickHouseSettings, ProcessSettings
from tests.conftest import ClickHouse, Kafka
from tests.integration.test_sink_process import Sink, records_of

pytestmark = pytest.mark.integration


def ask(port: int, path: str) -> tuple[int, str]:
    """Status and body; 0 while nothing listens."""
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def figures(port: int, name: str) -> dict[tuple[str, ...], float]:
    """Values of the labels, by their names, → value, of one metric."""
    families = text_string_to_metric_families(ask(port, "/metrics")[1])
    return {
        tuple(one.labels[label] for label in sorted(one.labels)): one.value
        for family in families
        for one in family.samples
        if one.name == name
    }


@pytest.fixture
def sink(kafka: Kafka, database: ClickHouseSettings, tmp_path: Path) -> Iterator[Sink]:
    one = Sink(kafka, database, tmp_path)
    try:
        yield one
    finally:
        one.stop()


def test_what_a_process_says_is_what_it_is_asked_for() -> None:
    readiness, port = health.Readiness(), free_port()
    health.serve(ProcessSettings(metrics_port=0), readiness)
    health.serve(ProcessSettings(metrics_port=port), readiness)
    assert ask(port, "/healthz") == (200, '{"status": "alive"}')
    assert ask(port, "/readyz") == (503, json.dumps({"status": "not ready", "message": health.STARTING}))
    readiness.problem = ""
    assert ask(port, "/readyz")[0] == 200
    asked = [""]
    readiness.ask(lambda: asked[0])
    assert ask(port, "/readyz")[0] == 200
    asked[0] = "the sky has fallen"
    assert "the sky has fallen" in ask(port, "/readyz")[1]
    assert "# HELP desireline_leg_lag_records" in ask(port, "/metrics")[1]


def test_a_sink_is_ready_while_clickhouse_takes_rows_and_knows_how_far_behind_it_is_while_not(
    sink: Sink, clickhouse: ClickHouse
) -> None:
    port = free_port()
    sink.start(DESIRELINE_METRICS_PORT=str(port))
    sink.wait(lambda: ask(port, "/readyz")[0] == 200)
    sink.produce(records_of(range(50)))
    sink.wait(lambda: figures(port, "desireline_sink_outcomes_total") == {("purchase", "dropped_off"): 50})

    def disks(name: str) -> dict[str, float]:
        return {server: value for (_, server), value in figures(port, name).items()}

    sink.wait(lambda: disks("desireline_disk_free_bytes").keys() == {"kafka", "clickhouse"})
    free, total = disks("desireline_disk_free_bytes"), disks("desireline_disk_total_bytes")
    assert all(0 < free[server] < total[server] for server in total)

    clickhouse.kill()
    try:
        sink.produce(records_of(range(50, 400)))
        sink.wait(lambda: sum(figures(port, "desireline_sink_lag_records").values()) >= 350)
        status, said = ask(port, "/readyz")
        assert (status, "waiting for ClickHouse" in said) == (503, True)
    finally:
        clickhouse.start()
    sink.wait(lambda: ask(port, "/readyz")[0] == 200)
    sink.wait(lambda: sum(figures(port, "desireline_sink_lag_records").values()) == 0)
