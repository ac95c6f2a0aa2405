"""An operator's order to erase, as a test gives it to Kafka: names and events, without the rest of the plan."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from uuid import UUID

from aiokafka import AIOKafkaProducer

from runtime.settings import IdentitySettings, KafkaSettings
from schemas.codec import encode
from schemas.erasure import Erase, Gone, Hashed
from schemas.identity import person_id
from schemas.topics import COMMANDS

SECRET = IdentitySettings().secret.get_secret_value().encode()  # what processes have that are given none
NOWHERE = Hashed("0" * 32, 0)


def erasure(at: int, names: Iterable[str] = (), events: Iterable[UUID] = (), secret: bytes = SECRET) -> Erase:
    """Erase what carries these names (`kind:value`) and occurred up to `at`, ms UTC, and these events."""
    hashed = sorted(person_id(name, secret).hex for name in names)
    gone = [Gone(event.hex, NOWHERE, "", 0) for event in events]
    return Erase("-".join([str(at), *hashed, *(one.event_id for one in gone)]), at, hashed, gone)


def give(kafka: KafkaSettings, order: Erase) -> None:
    """Returns when the broker has it."""

    async def send() -> None:
        async with AIOKafkaProducer(**kafka.client()) as producer:
            await producer.send_and_wait(COMMANDS.name, encode(order), key=order.key.encode())

    asyncio.run(send())
