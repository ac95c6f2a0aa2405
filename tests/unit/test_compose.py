"""The stack in containers: does it say the same as the local one? (No container runs here.)"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local import plan
from deploy.local.jars import KAFKA_VERSION
from deploy.local.kafka import KafkaServer
from deploy.local.plan import Wishes
from deploy.local.programs import programs
from deploy.local.settings import StackSettings

FOLDER = Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return dict(yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"])


def test_containers_and_local_processes_are_the_same_programs(services: dict[str, Any], tmp_path: Path) -> None:
    local = {program.name: program for program in programs(plan.make(Wishes(), StackSettings(home=tmp_path), {}))}
    assert services.keys() == local.keys()
    for name, service in services.items():
        command = service.get("command", [])
        if command[:2] == ["python", "-m"]:
            assert command[1:] == local[name].argv[1:]
        assert set(service.get("depends_on", {})) == set(local[name].needs)


def test_both_run_the_same_kafka_in_the_same_way(services: dict[str, Any], tmp_path: Path) -> None:
    kafka = services["kafka"]
    assert kafka["image"] == f"apache/kafka:{KAFKA_VERSION}"
    local = dict(line.split("=", 1) for line in KafkaServer(tmp_path, 1, 2).properties().splitlines())
    for name, value in kafka["environment"].items():
        setting = name.removeprefix("KAFKA_").lower().replace("_", ".")
        if "listener" not in setting and setting not in ("controller.quorum.voters", "log.dirs"):
            assert local[setting] == value, name


def test_only_collector_and_dashboard_are_published_and_only_on_loopback(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(published) == {"collector", "dashboard"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_the_image_holds_every_package() -> None:
    text = (FOLDER / "Dockerfile").read_text()
    root = FOLDER.parent
    packages = {folder.parent.name for folder in root.glob("*/__init__.py")} - {"tests", "benchmarks"}
    copied = {line.split()[1] for line in text.splitlines() if line.startswith("COPY") and line.count(" ") == 2}
    assert copied == packages
