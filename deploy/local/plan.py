"""What a stack will consist of: decided once, before anything starts, so that every refusal comes before the first process."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from deploy.findings import NEEDED_BYTES
from deploy.local import keys, ports
from deploy.local.clickhouse import ClickHouseServer
from deploy.local.errors import StackError
from deploy.local.kafka import KafkaServer
from deploy.local.settings import StackSettings

USUAL_PORTS = {"collector": 8080, "dashboard": 8090}
PARTITIONS = 4  # of each topic; more would cost memory and buy nothing on one machine

# Ports by what listens on them. The internal ones are random, but a home keeps its own from one start to the next.
KAFKA_PORTS = ("kafka", "kafka_controller")
CLICKHOUSE_PORTS = ("clickhouse_http", "clickhouse_native")
PROCESS_PORTS = ("collector", "dashboard", "worker_metrics", "sink_metrics", "alerts_metrics")


class Wishes(BaseModel):
    """What the user asked for: which part of the stack, and ports by name (see above) that were given explicitly."""

    only: Literal["everything", "servers"] = "everything"
    ports: dict[str, int] = {}


class Plan(BaseModel):
    """A stack about to start. `kafka` and `clickhouse` are None where the user's own servers are used instead."""

    model_config = ConfigDict(frozen=True)

    home: Path
    only: Literal["everything", "servers"]
    ports: dict[str, int]
    kafka: KafkaServer | None
    clickhouse: ClickHouseServer | None
    environment: dict[str, str]


def make(wishes: Wishes, settings: StackSettings, before: dict[str, int]) -> Plan:
    """Decide what to start in the home of the settings; `before` are the ports of its last start. Raises `StackError`
    when a port is taken or the disk is full."""
    home = settings.home.resolve()
    _require_space(home)
    secret = settings.secret.get_secret_value() if settings.secret else keys.secret_of_home(home)
    environment = {"DESIRELINE_HOME": str(home), "DESIRELINE_SECRET": secret}
    if settings.definitions:
        environment["DESIRELINE_DEFINITIONS"] = str(settings.definitions.resolve())
    if settings.identity:
        environment["DESIRELINE_IDENTITY"] = str(settings.identity.resolve())
    names: list[str] = []
    if not settings.kafka_bootstrap:
        names += KAFKA_PORTS
    if not settings.clickhouse_url:
        names += CLICKHOUSE_PORTS
    if wishes.only == "everything":
        names += PROCESS_PORTS
        for variable, given, file in (
            ("DESIRELINE_WRITE_KEYS", settings.write_keys, keys.WRITE),
            ("DESIRELINE_READ_KEYS", settings.read_keys, keys.READ),
        ):
            environment[variable] = given.get_secret_value() if given else keys.of_home(home, file)
    chosen = choose_ports(names, wishes.ports, before)
    kafka = clickhouse = None
    if settings.kafka_bootstrap:
        environment["KAFKA_BOOTSTRAP"] = settings.kafka_bootstrap
    else:
        kafka = KafkaServer(home / "kafka", chosen["kafka"], chosen["kafka_controller"])
        environment["KAFKA_BOOTSTRAP"] = kafka.bootstrap
    if settings.clickhouse_url:
        environment["CLICKHOUSE_URL"] = settings.clickhouse_url
    else:
        clickhouse = ClickHouseServer(home / "clickhouse", chosen["clickhouse_http"], chosen["clickhouse_native"])
        environment["CLICKHOUSE_URL"] = clickhouse.url
        environment["CLICKHOUSE_NATIVE_PORT"] = str(clickhouse.native_port)
    return Plan(home=home, only=wishes.only, ports=chosen, kafka=kafka, clickhouse=clickhouse, environment=environment)


def choose_ports(names: list[str], given: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    """A port for each name: the given one (taken: `StackError`), the one of the last start, the usual one, a random one."""
    chosen: dict[str, int] = {}
    for name in names:
        if name in given:
            option = f"--{name.replace('_', '-')}-port"
            if given[name] in chosen.values():
                raise StackError(f"port {given[name]} is given twice: choose another with {option}")
            chosen[name] = ports.require_free(given[name], name.replace("_", " "), option)
    for name in names:
        if name not in chosen:
            wanted = [before.get(name), USUAL_PORTS.get(name)]
            kept = next((p for p in wanted if p and p not in chosen.values() and ports.is_free(p)), None)
            chosen[name] = kept or ports.free_port(set(chosen.values()))
    return chosen


def _require_space(home: Path) -> None:
    free = shutil.disk_usage(home).free
    if free < NEEDED_BYTES:
        raise StackError(
            f"{home} has {free / (1 << 20):.0f} MB left, and the stack needs {NEEDED_BYTES >> 20} MB to start: "
            "make room, or give another DESIRELINE_HOME"
        )
