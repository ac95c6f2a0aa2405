"""What operators have ordered: the topic `commands`, read whole."""

from __future__ import annotations

import msgspec

from runtime.kafka import read_topic
from runtime.settings import KafkaSettings
from schemas.messages import Command
from schemas.topics import COMMANDS

_decoder = msgspec.json.Decoder(Command)


async def ordered(kafka: KafkaSettings) -> list[tuple[int, Command]]:
    """Every order with its append time, ms UTC; partition by partition, in log order. Raises KafkaError.

    What is no order is left out: the identity leg makes it a dead letter.
    """
    found = []
    for record in await read_topic(kafka, COMMANDS.name):
        try:
            found.append((record.timestamp, _decoder.decode(record.value or b"")))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
    return found
