"""The collector process: `python -m ingest.collector` takes touchpoints over HTTP and writes them to Kafka."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import uvicorn
import uvloop
from pydantic import ValidationError

from ingest.api import Api, application
from ingest.budget import Budget
from ingest.following import Following
from ingest.producer import Producer
from ingest.settings import CollectorSettings
from runtime.logging import configure
from schemas.identity import KindsError
from schemas.topics import DEAD_LETTERS, TOUCHPOINTS

log = structlog.get_logger()


class _Server(uvicorn.Server):
    """Ends in good order on SIGINT and SIGTERM, with exit code 0; uvicorn's own way raises the signal once more."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


async def collect(settings: CollectorSettings) -> None:
    """Serve until SIGINT or SIGTERM; what was taken in by then is answered and written. Raises KindsError."""
    budget = Budget(settings.max_waiting_bytes)
    producer = Producer(
        settings,
        (TOUCHPOINTS.name, DEAD_LETTERS.name),
        budget,
        linger=settings.linger,
        ack_timeout=settings.ack_timeout,
    )
    following = Following(settings)
    server = _Server(
        uvicorn.Config(
            application(Api(settings, producer, following, budget), settings),
            host=settings.host,
            port=settings.port,
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            backlog=2048,
            timeout_graceful_shutdown=int(settings.ack_timeout) + 5,
        )
    )
    await producer.start()
    await following.start()
    gc.collect()
    gc.freeze()  # what is here now stays: collections need not look at it
    log.info("collector_starts", host=settings.host, port=settings.port, kafka=settings.bootstrap)
    try:
        await server.serve()
    finally:
        await following.stop()
        await producer.stop()
    log.info("collector_stopped")


def main() -> None:
    try:
        settings = CollectorSettings()
    except ValidationError as error:
        sys.exit("\n".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors()))
    configure("collector", settings.log_level)
    # While the broker is away aiokafka logs every attempt, twenty a second; the producer says it once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        uvloop.run(collect(settings))
    except KindsError as error:
        sys.exit(" ".join(str(error).split()))


if __name__ == "__main__":
    main()
