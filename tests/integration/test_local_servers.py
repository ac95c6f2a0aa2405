"""The two embedded servers: they answer, they are durable, and they come back where they were."""

from __future__ import annotations

import asyncio
from urllib.request import Request, urlopen

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException

from tests.conftest import ClickHouse, Kafka

pytestmark = pytest.mark.integration


async def _create_topic(bootstrap: str, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def _append(bootstrap: str, topic: str, values: list[bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def _read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        return [(await asyncio.wait_for(consumer.getone(), 20)).value for _ in range(count)]
    finally:
        await consumer.stop()


def test_acknowledged_records_survive_a_killed_broker(kafka: Kafka) -> None:
    values = [str(number).encode() for number in range(50)]
    asyncio.run(_create_topic(kafka.bootstrap, "durable"))
    asyncio.run(_append(kafka.bootstrap, "durable", values[:30]))
    before, killed = kafka.bootstrap, kafka.pid
    kafka.kill()
    assert not psutil.pid_exists(killed)
    kafka.start()
    assert (kafka.bootstrap, kafka.pid != killed) == (before, True)
    asyncio.run(_append(kafka.bootstrap, "durable", values[30:]))
    assert asyncio.run(_read(kafka.bootstrap, "durable", 50)) == values


def test_acknowledged_rows_survive_a_killed_clickhouse(clickhouse: ClickHouse) -> None:
    _ask(clickhouse, "CREATE TABLE durable (number UInt32) ENGINE = MergeTree ORDER BY number")
    try:
        for number in range(20):
            _ask(clickhouse, f"INSERT INTO durable SETTINGS async_insert = 0 VALUES ({number})")
        killed = clickhouse.pid
        clickhouse.kill()
        assert not psutil.pid_exists(killed)
        clickhouse.start()
        assert _ask(clickhouse, "SELECT count(), sum(number) FROM durable") == "20\t190"
    finally:
        _ask(clickhouse, "DROP TABLE durable")


def test_clickhouse_speaks_both_protocols_in_our_database_in_utc(clickhouse: ClickHouse) -> None:
    over_http = _ask(clickhouse, "SELECT currentDatabase(), serverTimezone()").split("\t")
    with Client("127.0.0.1", port=clickhouse.native_port, database="desireline") as client:
        assert client.execute("SELECT currentDatabase(), serverTimezone()") == [tuple(over_http)]
    assert over_http == ["desireline", "UTC"]


def test_a_wrong_password_leaves_clickhouse_standing(clickhouse: ClickHouse) -> None:
    before = clickhouse.pid
    client = Client("127.0.0.1", port=clickhouse.native_port, user="nobody", password="wrong")
    with pytest.raises(ServerException, match="Authentication failed"):
        client.execute("SELECT 1")
    client.disconnect()
    assert _ask(clickhouse, "SELECT 1") == "1"
    assert clickhouse.pid == before


def test_the_servers_listen_on_loopback_only(kafka: Kafka, clickhouse: ClickHouse) -> None:
    for pid in (kafka.pid, clickhouse.pid):
        listening = [c for c in psutil.Process(pid).net_connections("tcp") if c.status == psutil.CONN_LISTEN]
        assert len(listening) == 2
        assert {c.laddr.ip.removeprefix("::ffff:") for c in listening} == {"127.0.0.1"}


def _ask(clickhouse: ClickHouse, sql: str) -> str:
    address, _, database = clickhouse.url.removeprefix("http://default@").partition("/")
    with urlopen(Request(f"http://{address}/?database={database}", data=sql.encode()), timeout=20) as answer:
        return str(answer.read().decode()).strip()
