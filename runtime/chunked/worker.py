"""Running legs: one Faust app per leg (its own consumer group), all in one event loop of one process.

`run_legs` is the whole process. SIGTERM or SIGINT: take no more, commit, leave the groups, exit 0. Any error, being
fenced included: one log line saying what happened, exit 70 at once (2 if only another configuration helps). A supervisor
starts it again; state is in Kafka.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import faust
import structlog
import uvloop
from aiokafka.errors import OffsetOutOfRangeError

from runtime import health
from runtime.chunked.errors import LegError, NotCoPartitioned, RecordsLost
from runtime.chunked.leg import Leg
from runtime.chunked.privates import ChunkApp
from runtime.chunked.settings import StoreSettings
from runtime.chunked.store import StateStore
from runtime.kafka import partition_counts, wait_for_broker
from runtime.settings import KafkaSettings

EXIT_FAILURE = LegError.exit_code
BROKER_SECONDS = 60.0
STOP_SECONDS = 10.0
CHUNK_RECORDS = 5_000  # the longest that the event loop is given to one chunk: some tens of milliseconds

log = structlog.get_logger()


class _ChunkSchema(faust.Schema):  # type: ignore[misc]
    """Hands the chunk on as it is: decoding is the leg's, so that one bad record never costs a chunk."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> None:
        return None

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:
        return message.value


class LegWorker:
    """One leg on Kafka: its Faust app and its store."""

    def __init__(
        self,
        leg: Leg,
        kafka: KafkaSettings,
        settings: StoreSettings,
        fail: Callable[[BaseException], None],
    ) -> None:
        self.leg, self._kafka, self._fail = leg, kafka, fail
        self.app = ChunkApp(
            leg.name,
            broker=[f"kafka://{server.strip()}" for server in kafka.bootstrap.split(",")],
            broker_credentials=_credentials(kafka),
            broker_session_timeout=6.0,
            broker_heartbeat_interval=1.5,
            broker_max_poll_records=CHUNK_RECORDS,
            consumer_max_fetch_size=4 << 20,
            stream_wait_empty=False,
            table_standby_replicas=0,
            topic_disable_leader=True,
            topic_allow_declare=False,
            web_enabled=False,
            autodiscover=False,
        )
        self.app.client = kafka.client()
        self.app.fail = self._reading_failed
        self.store = StateStore(leg, self.app, kafka, settings, fail)
        topic = self.app.topic(
            *leg.sources,
            acks=False,
            maxsize=1000,
            schema=_ChunkSchema(key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"),
        )

        async def chunks(stream: Any) -> None:
            async for event in stream.noack().events():
                try:
                    self.store.take(event.value)
                except Exception as error:  # noqa: BLE001 - Faust would go on with the next chunk and lose this one
                    fail(error)
                    await asyncio.Future()

        self.app.agent(topic, name=f"{leg.name}.chunks")(chunks)

    @property
    def problem(self) -> str:
        """Why it does not read what it is to read; "" while it does. How far behind it is is another question."""
        problem = self.store.problem
        return problem and f"{self.leg.name}: {problem}"

    async def check(self) -> None:
        """NotCoPartitioned unless every topic of the leg exists, with equal numbers of partitions.

        A source that does not exist when the group first forms would not be assigned.
        """
        counts = await partition_counts(self._kafka, (*self.leg.sources, self.leg.changelog))
        if len(set(counts.values())) != 1:
            raise NotCoPartitioned(f"topics of {self.leg.name} must have equal numbers of partitions: {counts}")

    async def run(self) -> None:
        """Start reading; returns only when cancelled."""
        await self.app.start()
        self.store.spawn(self.store.run())
        while not self.app.crashed:
            await asyncio.sleep(0.5)
        self._fail(self.app.crash_reason or LegError(f"Faust stopped reading for {self.leg.name}"))

    async def stop(self) -> None:
        """Commit, leave the group, stop."""
        await self.store.stop()
        if not self.app.started:
            return
        try:
            await asyncio.wait_for(self.app.stop(), STOP_SECONDS)
        except TimeoutError:  # everything is committed; the group will notice by itself
            log.warning("did not leave the group in time", leg=self.leg.name)

    def _reading_failed(self, error: BaseException) -> None:
        if isinstance(error, OffsetOutOfRangeError):
            where = ", ".join(f"{tp.topic}-{tp.partition} at {offset}" for tp, offset in error.args[0].items())
            error = RecordsLost(f"{where}: the log does not have that offset (any more); records would be skipped")
        self._fail(error)


def run_legs(
    legs: Sequence[Leg],
    kafka: KafkaSettings,
    stores: Mapping[str, StoreSettings] | None = None,
) -> NoReturn:
    """Run the legs until SIGTERM or SIGINT, then exit with 0; on any error with 70. Configure logging before.

    `stores` gives settings by leg name, where not the default.
    """
    _quiet_retries()
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)  # state is millions of long-lived objects: collect young ones in large lots
    uvloop.install()  # also for the consumers' threads, which make their own loops
    asyncio.run(_run(legs, kafka, stores or {}))
    raise AssertionError("a worker ends its process itself")


async def _run(legs: Sequence[Leg], kafka: KafkaSettings, stores: Mapping[str, StoreSettings]) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    workers = [LegWorker(leg, kafka, stores.get(leg.name, StoreSettings()), exit_failed) for leg in legs]
    health.serve(kafka, lambda: next(filter(None, (worker.problem for worker in workers)), ""))
    running = asyncio.create_task(_start(workers, kafka))
    await stopping.wait()
    log.info("stopping")
    running.cancel()  # also while it still waits for a broker
    try:
        await asyncio.gather(*(worker.stop() for worker in workers))
    except Exception as error:  # noqa: BLE001 - the process ends with it
        exit_failed(error)
    log.info("stopped")
    # Everything is committed. A thread or task of Faust's that still waits for a broker's answer would hold the process.
    _leave(0)


async def _start(workers: Sequence[LegWorker], kafka: KafkaSettings) -> None:
    try:
        await wait_for_broker(kafka, BROKER_SECONDS)
        for worker in workers:
            await worker.check()
        log.info("legs started", legs=[worker.leg.name for worker in workers])
        await asyncio.gather(*(worker.run() for worker in workers))
    except Exception as error:  # noqa: BLE001 - the process ends with it
        exit_failed(error)


def exit_failed(error: BaseException) -> NoReturn:
    """One line, then out, without unwinding: nothing of what is in memory may be committed any more."""
    if isinstance(error, LegError):
        log.error("leg failed", kind=type(error).__name__, error=str(error))
        _leave(error.exit_code)
    log.error("leg failed", kind=type(error).__name__, exc_info=error)
    _leave(EXIT_FAILURE)


def _leave(code: int) -> NoReturn:
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(code)


def _credentials(kafka: KafkaSettings) -> faust.types.auth.CredentialsT | None:
    """The same security settings, as Faust's own producer wants them."""
    client = kafka.client()
    context = client.get("ssl_context")
    if kafka.security_protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=client["sasl_plain_username"],
            password=client["sasl_plain_password"],
            mechanism=client["sasl_mechanism"],
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context else None


def _quiet_retries() -> None:
    """A transaction right after another is refused for some milliseconds and retried: that is normal, not a warning."""

    def not_normal(record: logging.LogRecord) -> bool:
        return "NotEnoughReplicas" not in record.getMessage()

    logging.getLogger("aiokafka.producer.sender").addFilter(not_normal)
