"""What the commands of `desireline replay` share: servers and their errors, which generation is meant, is it through?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cli import text
from cli.common import clickhouse_settings, explain
from cli.output import fail

if TYPE_CHECKING:
    from processors.settings import WorkerSettings
    from runtime.settings import KafkaSettings
    from sinks.reader import Reader

SECONDS = 60.0  # that a generation may need for what is in the logs
PAUSE_SECONDS = 0.5


def settings() -> tuple[WorkerSettings, str]:
    """The worker's settings, and the sink's group. Ends the command if they cannot be read."""
    from pydantic import ValidationError

    from processors.settings import WorkerSettings
    from sinks.settings import SinkSettings

    try:
        return WorkerSettings(), SinkSettings().group
    except ValidationError as error:
        raise fail("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())) from error


@contextmanager
def servers() -> Iterator[None]:
    """Around what asks the servers: known errors end the command with one sentence."""
    from aiokafka.errors import KafkaError as AsyncKafkaError
    from clickhouse_driver.errors import Error
    from kafka.errors import KafkaError

    from runtime.generations import CannotReplay, InUse

    try:
        yield
    except (CannotReplay, InUse) as error:
        raise fail(str(error)) from error
    except (KafkaError, AsyncKafkaError) as error:
        why = text.plain(str(error)) or type(error).__name__
        raise fail(f"Kafka does not answer ({why}): is it running? `desireline doctor` says what is wrong") from error
    except (Error, OSError, EOFError) as error:
        raise fail(explain(error, clickhouse_settings())) from error


def upcoming(reader: Reader, kafka: KafkaSettings) -> int:
    """The generation that is being built, or a number that none has had before."""
    from runtime.generations import existing
    from sinks.generations import highest, live

    newest = max(existing(kafka), default=1)
    return newest if newest > live(reader) else max(newest, highest(reader)) + 1


def require_none_filling(kafka: KafkaSettings) -> None:
    """Ends the command while a generation is being built from ClickHouse: its ledger would not know what is erased now."""
    from runtime.generations import filling

    for number in filling(kafka):
        raise fail(
            f"generation {number} is being built from ClickHouse: let `desireline replay start` get on to the log first, or "
            f"desireline replay drop {number}"
        )


def chosen(reader: Reader, kafka: KafkaSettings, given: int | None) -> int:
    """The generation that is meant. Ends the command if there is none."""
    from runtime.generations import existing
    from sinks.generations import live

    there, current = existing(kafka), live(reader)
    if given is not None and given not in there:
        raise fail(f"there is no generation {given}: `desireline replay status` shows them")
    others = [number for number in there if number != current]
    if given is None and not others:
        raise fail(f"there is only generation {current}: `desireline replay start` makes the next")
    return given or others[-1]


def behind(kafka: KafkaSettings, sink_group: str, *generations: int) -> dict[int, str]:
    """What each of the generations is behind with after a minute, if it is not through with what is in the logs now."""
    from runtime.generations import filling
    from sinks.verify import cut

    async def look() -> list[str]:
        return await asyncio.gather(*(cut.through(kafka, sink_group, SECONDS, number) for number in generations))

    found = dict(zip(generations, asyncio.run(look()), strict=True))
    found |= {number: "it still reads what ClickHouse has" for number in filling(kafka) if number in found}
    return {number: what for number, what in found.items() if what}


def stale(reader: Reader, generation: int) -> int:
    """Hours of the generation, rewritten before now, whose figures are still not refreshed after a minute."""
    from sinks.generations import server_time, unrefreshed

    since, deadline = server_time(reader), time.monotonic() + SECONDS
    while (left := unrefreshed(reader, generation, since)) and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
    return left
