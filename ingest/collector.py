"""The collector process: `python -m ingest.collector` takes touchpoints over HTTP and writes them to Kafka."""

from __future__ import annotations

import gc
import logging
import sys

import structlog
import uvloop
from pydantic import ValidationError

from ingest.api import Api, application
from ingest.budget import Budget
from ingest.following import Following
from ingest.producer import Producer
from ingest.settings import CollectorSettings
from runtime.http import server
from runtime.logging import configure
from schemas.identity import KindsError
from schemas.topics import DEAD_LETTERS, TOUCHPOINTS

log = structlog.get_logger()


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
    serving = server(
        application(Api(settings, producer, following, budget), settings),
        settings.host,
        settings.port,
        stop_seconds=int(settings.ack_timeout) + 5,
    )
    await producer.start()
    await following.start()
    gc.collect()
    gc.freeze()  # what is here now stays: collections need not look at it
    log.info("collector_starts", host=settings.host, port=settings.port, kafka=settings.bootstrap)
    try:
        await serving.serve()
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
