"""What a stack will consist of: decided once, before anything starts, so that every refusal comes before the first process."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from deploy.local import ports
from deploy.local.clickhouse import ClickHouseServer
from deploy.local.errors import StackError
from deploy.local.kafka import KafkaServer
from runtime.settings import ClickHouseSettings, KafkaSettings

COLLECTOR_PORT = 8080
PARTITIONS = 4  # of each topic; more would cost memory and buy nothing on one machine
NEEDED_BYTES = 1 << 30

# Ports by what listens on them. The internal ones are random, but a home keeps its own from one start to the next.
SERVER_PORTS = ("kafka", "kafka_controller", "clickhouse_http", "clickhouse_native")
PROCESS_PORTS = ("collector", "collector_metrics", "worker_metrics", "sink_metrics")


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

    @property
    def collector_url(self) -> str:
        return f"http://{ports.LOOPBACK}:{self.ports['collector']}"


def make(home: Path, wishes: Wishes, own_kafka: str | None, own_clickhouse: str | None, before: dict[str, int]) -> Plan:
    """Decide what to start in `home`. `own_kafka` and `own_clickhouse` are the addresses of servers that the user has,
    `before` the ports of this home's last start. Raises `StackError` when a port is taken or the disk is full."""
    _require_space(home)
    names = [name for name in SERVER_PORTS if not (own_kafka if name.startswith("kafka") else own_clickhouse)]
    if wishes.only == "everything":
        names += PROCESS_PORTS
    chosen = choose_ports(names, wishes.ports, before)
    kafka = clickhouse = None
    environment = {"DESIRELINE_HOME": str(home)}
    if own_kafka:
        environment["KAFKA_BOOTSTRAP"] = own_kafka
    else:
        kafka = KafkaServer(home / "kafka", chosen["kafka"], chosen["kafka_controller"])
        environment["KAFKA_BOOTSTRAP"] = kafka.bootstrap
    if own_clickhouse:
        environment["CLICKHOUSE_URL"] = own_clickhouse
    else:
        clickhouse = ClickHouseServer(home / "clickhouse", chosen["clickhouse_http"], chosen["clickhouse_native"])
        environment["CLICKHOUSE_URL"] = clickhouse.url
        environment["CLICKHOUSE_NATIVE_PORT"] = str(clickhouse.native_port)
    return Plan(home=home, only=wishes.only, ports=chosen, kafka=kafka, clickhouse=clickhouse, environment=environment)


def choose_ports(names: list[str], given: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    """A port for each name: the given one (taken: `StackError`), the one of the last start, the usual one, a random one."""
    usual = {"collector": COLLECTOR_PORT}
    chosen: dict[str, int] = {}
    for name in names:
        if name in given:
            option = f"--{name.replace('_', '-')}-port"
            if given[name] in chosen.values():
                raise StackError(f"port {given[name]} is given twice: choose another with {option}")
            chosen[name] = ports.require_free(given[name], name.replace("_", " "), option)
    for name in names:
        if name not in chosen:
            wanted = [before.get(name), usual.get(name)]
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


def own_servers(kafka: KafkaSettings, clickhouse: ClickHouseSettings) -> tuple[str | None, str | None]:
    """The addresses of the user's own servers, where the environment names them."""
    return (
        kafka.bootstrap if "bootstrap" in kafka.model_fields_set else None,
        clickhouse.url if "url" in clickhouse.model_fields_set else None,
    )
