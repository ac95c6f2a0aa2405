"""The alerts process: every minute, what is worse than usual for its hour, to the alerts topic and from there to webhooks;
and, if anybody wants to know, each detractor and promoter with the story.

`python -m alerts.app`. One of it is enough; it remembers nothing but its webhooks' offset, and learns anew when it starts. A
minute is judged when everything that had arrived by its end is in ClickHouse: a backlog is no incident.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from clickhouse_driver.errors import Error as ClickHouseError
from pydantic import ValidationError

from alerts.answers import GROUP as ANSWERS_GROUP
from alerts.answers import Answers
from alerts.counts import Key, Series
from alerts.live import Live
from alerts.settings import AlertSettings
from alerts.webhooks import GROUP, Webhooks, follow, of_alert, ready
from runtime import health, logging, metrics
from runtime.kafka import wait_for_broker
from runtime.settings import ClickHouseSettings, KafkaSettings
from runtime.stopping import stopped
from schemas import topics
from schemas.alert import Alert
from schemas.codec import encode
from sinks.generations import live
from sinks.reader import reader
from sinks.verify.cut import through

log = structlog.get_logger()
UNEXPECTED = 70  # exit code: let the supervisor start us again
WRONG_SETTINGS = 2  # exit code: starting again will not help
THROUGH_SECONDS = 30.0
AGAIN_SECONDS = 5.0
DAY_MS = 86_400_000


async def run(
    settings: AlertSettings,
    kafka: KafkaSettings,
    clickhouse: ClickHouseSettings,
    readiness: health.Readiness,
    stop: asyncio.Event,
) -> None:
    """Watch until `stop`; ready once nothing that is said from now on is missed."""
    await wait_for_broker(kafka)
    async with AsyncExitStack() as stack:
        producer = AIOKafkaProducer(**kafka.client(), acks="all", enable_idempotence=True)
        await producer.start()
        stack.push_async_callback(producer.stop)
        alerts = _consumer(kafka, GROUP)
        alerts.subscribe([topics.ALERTS.name])
        await alerts.start()
        stack.push_async_callback(alerts.stop)
        await ready(alerts)
        async with asyncio.TaskGroup() as tasks:
            webhooks = Webhooks(settings, settings.addresses, stop)
            tasks.create_task(follow(alerts, producer, webhooks, stop, of_alert))
            if settings.feedback_addresses:
                answers = _consumer(kafka, ANSWERS_GROUP)
                answers.subscribe(pattern=topics.pattern([topics.PEOPLE.name]))  # of every generation that there is
                await answers.start()
                stack.push_async_callback(answers.stop)
                await ready(answers)
                webhooks = Webhooks(settings, settings.feedback_addresses, stop)
                tasks.create_task(follow(answers, producer, webhooks, stop, Answers(clickhouse, stop).message_of))
            readiness.problem = ""
            tasks.create_task(_watch(settings, kafka, clickhouse, producer, stop))


def _consumer(kafka: KafkaSettings, group: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        **kafka.client(),
        group_id=group,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="latest",
        metadata_max_age_ms=5_000,  # so soon generations are noticed
        max_poll_interval_ms=DAY_MS,  # while a webhook is tried again and again we do not poll
    )


async def _watch(
    settings: AlertSettings,
    kafka: KafkaSettings,
    clickhouse: ClickHouseSettings,
    producer: AIOKafkaProducer,
    stop: asyncio.Event,
) -> None:
    watch = Live(settings, clickhouse)

    async def stored() -> str:
        generation = await asyncio.to_thread(_live_generation, clickhouse)
        return await through(kafka, settings.sink_group, THROUGH_SECONDS, generation)

    while not stop.is_set():
        last = int(time.time() - settings.settle_seconds) // 60 - 1
        said = await _until_stored(lambda: watch.advance(last), stored, stop)  # noqa: B023 - awaited before it changes
        for alert in said:
            await producer.send_and_wait(topics.ALERTS.name, encode(alert), key=_key(alert))
            log.info("alert", change=alert.change, journey=alert.journey, stage=alert.stage, channel=alert.channel)
        metrics.ALERTS_BEHIND_SECONDS.set(time.time() - (last + 1) * 60)
        await stopped(stop, max(0.0, (last + 2) * 60 + settings.settle_seconds - time.time()))


async def _until_stored(
    advance: Callable[[], list[Alert]], stored: Callable[[], Coroutine[None, None, str]], stop: asyncio.Event
) -> list[Alert]:
    """What is to be said, once the line is through and ClickHouse has answered; nothing if stopped before."""
    while not stop.is_set():
        try:
            behind = await _unless_stopped(stop, stored())
            if behind == "":
                return await asyncio.to_thread(advance)
            if behind is not None:
                log.warning("minutes wait: the line is behind", behind=behind)
        except (ClickHouseError, KafkaError, OSError, EOFError) as error:
            log.warning("minutes wait", error=str(error))
        await stopped(stop, AGAIN_SECONDS)
    return []


def _live_generation(clickhouse: ClickHouseSettings) -> int:
    with reader(clickhouse) as one:
        return live(one)


def _key(alert: Alert) -> bytes:
    return str(Key(Series(alert.journey, alert.stage, alert.channel), alert.measure)).encode()


async def _unless_stopped(stop: asyncio.Event, work: Coroutine[None, None, str]) -> str | None:
    """What it comes to; None if stopped before: a line that is behind would be waited for longer than a stop may take."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)


async def _main(
    settings: AlertSettings, kafka: KafkaSettings, clickhouse: ClickHouseSettings, readiness: health.Readiness
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run(settings, kafka, clickhouse, readiness, stop)


def main() -> None:
    try:
        settings = AlertSettings()
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        print(f"alerts: not started: {wrong}", file=sys.stderr)
        sys.exit(WRONG_SETTINGS)
    logging.configure("alerts", settings.log_level)
    readiness = health.Readiness()
    health.serve(settings, readiness)
    try:
        asyncio.run(_main(settings, KafkaSettings(), ClickHouseSettings(), readiness))
    except Exception:
        log.exception("the alerts process ends unexpectedly")
        sys.exit(UNEXPECTED)


if __name__ == "__main__":
    main()
