"""`desireline demo`: a stack, a restaurant full of guests, and a live picture of their journeys. `make demo` runs it."""

from __future__ import annotations

import signal
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import figures
from cli.addresses import use_running_stack
from cli.common import reading
from cli.down import down
from cli.output import fail, local_stack, out
from cli.up import up
from cli.watch import follow

if TYPE_CHECKING:
    from deploy.local.child import Child

HISTORY = timedelta(days=10)  # what comes at once, so that there are drop-offs from the start, and then goes on live
HISTORY_OPTIONS = ("--customers", "6600", "--duration", "11d", "--seed", "1")
CROWD_OPTIONS = ("--customers", "50000", "--duration", "2h", "--seed", "2")  # up to twenty touchpoints a second
PATIENCE = 90.0  # seconds until there must be figures


def demo(
    seconds: Annotated[
        float | None, typer.Option(min=1, help="End by itself after this many seconds of watching.  [default: Ctrl-C]")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Wait for the first journeys, show one picture, end.")] = False,
) -> None:
    """Start the stack (or use the one that runs), simulate a restaurant's guests, and watch. Stops what it started.

    The first time, ten days of history come within seconds; then guests go on arriving. The data stays in DESIRELINE_HOME.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):  # ended in whatever way, it stops what it started
        signal.signal(number, signal.default_int_handler)
    with local_stack(), ExitStack() as started:
        from deploy.local import instance, state
        from runtime.settings import ProcessSettings

        home = ProcessSettings().home.resolve()
        if not instance.is_running(home):
            up()
            started.callback(down)
        use_running_stack()
        running = state.load(home)
        if "collector" not in running.ports:
            raise fail("the stack that runs has no collector: stop it with `desireline down` and try again")
        url = f"http://127.0.0.1:{running.ports['collector']}"
        for guests in _simulations(home, url, _write_key(running.environment["DESIRELINE_WRITE_KEYS"])):
            started.callback(_stop, guests)
            guests.start()
        try:
            if once:
                _wait_for_journeys()
            follow(once=once, until=time.monotonic() + seconds if seconds else float("inf"))
        except KeyboardInterrupt:
            return


def _simulations(home: Path, url: str, key: str) -> list[Child]:
    """The crowd that arrives now, and, in a stack without journeys, the history before it."""
    from deploy.local import logs
    from deploy.local.child import Child

    with reading() as reader:
        fresh = not any(figures.definitions(reader).values())
    command = [sys.executable, "-m", "cli", "simulate", "--to-http", url, "--key", key, "--speed", "1"]
    began = (datetime.now(UTC) - HISTORY).isoformat()
    wanted = {"history": ["--start", began, *HISTORY_OPTIONS]} if fresh else {}
    wanted["crowd"] = list(CROWD_OPTIONS)
    return [Child(name, command + options, logs.path(home, name)) for name, options in wanted.items()]


def _write_key(keys: str) -> str:
    """The first key of `source=key, …`."""
    return keys.partition(",")[0].partition("=")[2].partition("@")[0]


def _wait_for_journeys() -> None:
    give_up = time.monotonic() + PATIENCE
    with reading() as reader:
        while not any(figures.definitions(reader).values()):
            if time.monotonic() > give_up:
                raise fail(f"no journeys after {PATIENCE:.0f} s: `desireline doctor` and `desireline logs` say more")
            time.sleep(0.5)


def _stop(guests: Child) -> None:
    if not guests.alive and guests.exit_code:
        out.print(f"{guests.name} {guests.how_it_ended()}", style="red", markup=False)
    guests.stop()
