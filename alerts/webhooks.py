"""From a topic to webhooks: each message to each address, until it is taken or is a dead letter.

The offset is committed after that, so a message is posted at least once, and with the same id each time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
import urllib3
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from alerts.message import Message, headers, message
from alerts.settings import AlertSettings
from runtime import metrics
from runtime.stopping import stopped
from schemas import topics
from schemas.alert import Alert
from schemas.codec import encode
from schemas.dead_letter import dead_letter

log = structlog.get_logger()
GROUP = "alerts-webhooks"
SOURCE = "alerts"
LONGEST_PAUSE = 60.0  # seconds between two tries
_SECONDS = urllib3.Timeout(connect=3, read=10)
_TRY_AGAIN = (408, 425, 429)  # and everything from 500: it may be otherwise later

decoder = msgspec.json.Decoder(Alert)


class Stopped(Exception):
    """We had to stop before it was delivered: it will be read again."""


class Webhooks:
    """Posts messages to some addresses, which are tried at the same time."""

    def __init__(
        self, settings: AlertSettings, addresses: Sequence[str], stop: asyncio.Event, first_pause: float = 1.0
    ) -> None:
        self._settings = settings
        self._addresses = addresses
        self._stop = stop
        self._first_pause = first_pause
        self._pool = urllib3.PoolManager(timeout=_SECONDS, retries=False)

    async def post(self, message: Message) -> dict[str, str]:
        """To every address; the hosts of those that did not take it, and why. Raises Stopped."""
        ends = await asyncio.gather(*(self._until_taken(url, message) for url in self._addresses))
        return {urlsplit(url).netloc: end for url, end in zip(self._addresses, ends, strict=True) if end}

    async def _until_taken(self, url: str, message: Message) -> str:
        pause, said = self._first_pause, ""
        for number in range(self._settings.webhook_tries):
            if number:
                metrics.ALERTS_WEBHOOKS.labels("retried").inc()
                if await stopped(self._stop, pause):
                    raise Stopped
                pause = min(LONGEST_PAUSE, 2 * pause)
            status, said = await asyncio.to_thread(self._try, url, message)
            if 200 <= status < 300:
                metrics.ALERTS_WEBHOOKS.labels("delivered").inc()
                return ""
            if 0 < status < 500 and status not in _TRY_AGAIN:
                break
        metrics.ALERTS_WEBHOOKS.labels("dead_letter").inc()
        return said

    def _try(self, url: str, message: Message) -> tuple[int, str]:
        """Status (0: no answer) and what was said."""
        secret = self._settings.webhook_secret.get_secret_value()
        sent = headers(message, secret, int(time.time()))
        try:
            answer = self._pool.request("POST", url, body=message.content, headers=sent, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            return 0, f"no answer: {type(error).__name__}"  # its text has the address, which may be a secret
        return answer.status, f"answered {answer.status}: {answer.data[:200].decode('utf-8', 'replace')}"


async def ready(consumer: AIOKafkaConsumer) -> None:
    """Return when the consumer has its partitions and a place in each: what is said from now on is not missed."""
    while not consumer.assignment():
        await consumer.getmany(timeout_ms=100)
    for partition in consumer.assignment():
        await consumer.position(partition)
    await consumer.commit()


async def of_alert(record: Any) -> Message | None:
    """The message of a record of the alerts topic, if it is one that is posted."""
    alert = decoder.decode(record.value)
    return None if alert.change == "widened" else message(alert)


async def follow(
    consumer: AIOKafkaConsumer,
    producer: AIOKafkaProducer,
    webhooks: Webhooks,
    stop: asyncio.Event,
    message_of: Callable[[Any], Awaitable[Message | None]],
) -> None:
    """Post what the topic brings, until `stop`. Errors of Kafka are for the process to end on."""
    while not stop.is_set():
        for partition, records in (await consumer.getmany(timeout_ms=500)).items():
            for record in records:
                try:
                    found = await message_of(record)
                    if found is not None:
                        await _post(found, record, producer, webhooks)
                        await consumer.commit({partition: record.offset + 1})
                except Stopped:
                    return
            if records and found is None:
                await consumer.commit({partition: records[-1].offset + 1})


async def _post(message: Message, record: Any, producer: AIOKafkaProducer, webhooks: Webhooks) -> None:
    for host, said in (await webhooks.post(message)).items():
        letter = dead_letter(
            record.value,
            source=SOURCE,
            leg="alerts",
            reason="undeliverable",
            message=f"{host} {said}",
            address=f"{record.topic}/{record.partition}/{record.offset}",
            at=int(time.time() * 1000),
        )
        await producer.send_and_wait(topics.DEAD_LETTERS.name, encode(letter), key=SOURCE.encode())
        log.warning("a webhook did not take a message", host=host, said=said, id=message.ident)
