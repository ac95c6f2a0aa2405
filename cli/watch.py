"""`desireline watch`: everything, live."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.live import Live

from cli.common import clickhouse_settings, explain
from cli.output import fail

if TYPE_CHECKING:
    from cli.live import Watcher

PAUSE = 0.5  # seconds between two looks
PLAIN_PAUSE = 10.0  # where a frame is printed below the other
PLAIN_HEIGHT = 24


def watch(
    definition: Annotated[
        str | None, typer.Option(help="Which journey of journeys.yaml.  [default: the one with most journeys]")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="One picture, then end.")] = False,
) -> None:
    """Watch touchpoints arrive and customers leave: rate, latency, what is behind, funnel, newest drop-offs. Ctrl-C ends it."""
    follow(definition, once=once)


def follow(definition: str | None = None, *, once: bool = False, until: float = float("inf")) -> None:
    """Paint until Ctrl-C, or until the time (as `time.monotonic()`); on what is no terminal, a picture now and then."""
    from clickhouse_driver.errors import Error as ClickHouseError
    from kafka.errors import KafkaError

    from cli.live import Watcher
    from runtime.settings import KafkaSettings

    try:
        kafka = KafkaSettings()
    except ValidationError as error:
        raise fail("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())) from error
    clickhouse = clickhouse_settings()
    try:
        with Watcher(kafka, clickhouse, definition) as watcher:
            _paint(watcher, once, until)
    except KafkaError as error:
        raise fail(f"no Kafka at {kafka.bootstrap} ({error}): is it running? `desireline up` starts one") from error
    except (ClickHouseError, OSError, EOFError) as error:
        raise fail(explain(error, clickhouse)) from error
    except KeyboardInterrupt:
        return


def _paint(watcher: Watcher, once: bool, until: float) -> None:
    from cli.screen import picture

    console = Console(highlight=False)
    now = watcher.first_look()
    if once or not console.is_terminal:
        while True:
            console.print(picture(now, console.width, PLAIN_HEIGHT))
            if once or time.monotonic() + PLAIN_PAUSE > until:
                return
            time.sleep(PLAIN_PAUSE)
            now = watcher.look()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while time.monotonic() < until:
            live.update(picture(now, console.width, console.height), refresh=True)
            time.sleep(PAUSE)
            now = watcher.look()
