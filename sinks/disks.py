"""How much room the disks of Kafka and ClickHouse have. Once a minute, by the sink that reads the first partition."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import NamedTuple

import structlog
from clickhouse_driver.errors import Error as ClickHouseError
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from runtime import metrics
from runtime.settings import ClickHouseSettings, KafkaSettings
from runtime.stopping import stopped
from sinks.reader import reader

log = structlog.get_logger()
EVERY_SECONDS = 60.0
LEADING_SECONDS = 2.0  # between two looks at whether we are that sink
TIMEOUT_MS = 10_000
_DISKS = "SELECT name, free_space, total_space FROM system.disks"


class Disk(NamedTuple):
    """A disk of a server; sizes in bytes."""

    name: str
    free: int
    total: int


def of_clickhouse(clickhouse: ClickHouseSettings) -> Iterator[Disk]:
    """Its disks. Raises the driver's errors."""
    with reader(clickhouse) as one:
        yield from (Disk(*row) for row in one.ask(_DISKS).rows)


def of_kafka(kafka: KafkaSettings) -> Iterator[Disk]:
    """The folders of each broker, `broker:folder`; without those whose size it does not tell. Raises KafkaError."""
    admin = KafkaAdminClient(**kafka.client(), bootstrap_timeout_ms=TIMEOUT_MS, request_timeout_ms=TIMEOUT_MS)
    try:
        for broker in admin.describe_log_dirs(topic_partitions={}):
            for folder in broker["log_dirs"]:
                if folder.get("total_bytes", -1) > 0:
                    name = f"{broker['broker']}:{folder['log_dir']}"
                    yield Disk(name, folder["usable_bytes"], folder["total_bytes"])
    finally:
        admin.close()


async def watch(
    kafka: KafkaSettings, clickhouse: ClickHouseSettings, leading: Callable[[], bool], stop: asyncio.Event
) -> None:
    """Measure every minute until `stop`, while `leading()`. A server that does not answer keeps its last measure."""
    while not stop.is_set():
        if leading():
            await asyncio.to_thread(_measure, "kafka", lambda: of_kafka(kafka))
            await asyncio.to_thread(_measure, "clickhouse", lambda: of_clickhouse(clickhouse))
        await stopped(stop, EVERY_SECONDS if leading() else LEADING_SECONDS)


def _measure(server: str, disks: Callable[[], Iterator[Disk]]) -> None:
    try:
        for disk in disks():
            metrics.DISK_FREE.labels(server, disk.name).set(disk.free)
            metrics.DISK_TOTAL.labels(server, disk.name).set(disk.total)
    except (ClickHouseError, KafkaError, OSError, EOFError) as error:
        log.warning("disks not measured", server=server, error=str(error).partition("Stack trace:")[0].strip())
