"""`desireline demo`: a stack, a restaurant full of guests, and a live picture of their journeys. `make demo` runs it."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import company, figures
from cli.addresses import use_running_stack
from cli.common import reading
from cli.down import down
from cli.output import fail, local_stack, out
from cli.up import up
from cli.watch import follow

if TYPE_CHECKING:
    from deploy.local.child import Child

PATIENCE = 90.0  # seconds until there must be figures


def demo(
    seconds: Annotated[
        float | None, typer.Option(min=1, help="End by itself after this many seconds of watching.  [default: Ctrl-C]")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Wait for the first journeys, show one picture, end.")] = False,
) -> None:
    """Simulate a restaurant's guests in a stack of its own, and watch. Stops what it started.

    A day passes in a minute there. The first time, five weeks of guests come at once; then they go on arriving. After some
    minutes checkouts begin to fail, and an alert opens. The data stays in the folder `demo` of DESIRELINE_HOME.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):  # ended in whatever way, it stops what it started
        signal.signal(number, signal.default_int_handler)
    with local_stack(), ExitStack() as started:
        from deploy.local import instance, state
        from runtime.settings import ProcessSettings

        home = instance.demo(ProcessSettings().home).resolve()
        os.environ["DESIRELINE_HOME"] = str(home)
        if not instance.is_running(home):
            _use_journeys(home)
            up()
            started.callback(down)
        use_running_stack()
        running = state.load(home)
        if "collector" not in running.ports:
            raise fail("the stack that runs has no collector: stop it with `desireline down` and try again")
        to = f"http://127.0.0.1:{running.ports['collector']}", _write_key(running.environment["DESIRELINE_WRITE_KEYS"])

        def starting(guests: company.Guests) -> Child:
            child = _child(home, guests, *to)
            started.callback(_stop, child)
            child.start()
            return child

        try:
            if _fresh():
                before = starting(company.history(datetime.now(UTC)))
                if not once:
                    _let_alerts_learn(home, before)
            for guests in company.live(datetime.now(UTC)):
                starting(guests)
            if once:
                _wait_for_journeys()
            follow(once=once, until=time.monotonic() + seconds if seconds else float("inf"))
        except KeyboardInterrupt:
            return


def _use_journeys(home: Path) -> None:
    """The restaurant's, told fast; a demo that was there before goes on with those that it began with."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = home / "journeys.yaml"
    if not file.exists():
        file.write_text(company.journeys(), encoding="utf-8")
    os.environ["DESIRELINE_DEFINITIONS"] = str(file)


def _fresh() -> bool:
    with reading() as reader:
        return not any(figures.definitions(reader).values())


def _child(home: Path, guests: company.Guests, url: str, key: str) -> Child:
    from deploy.local import logs
    from deploy.local.child import Child

    command = [sys.executable, "-m", "cli", "simulate", "--to-http", url, "--key", key]
    return Child(guests.name, command + guests.options, logs.path(home, guests.name))


def _let_alerts_learn(home: Path, history: Child) -> None:
    """Wait until the history is sent, and start the alerts process again: it learns from what is there when it starts."""
    from deploy.local import state

    give_up = time.monotonic() + PATIENCE
    with out.status(f"{company.HISTORY.days // 7} weeks of guests come in …"):
        while history.alive and time.monotonic() < give_up:
            time.sleep(0.2)
    for process in state.load(home).processes:
        if process.name == "alerts" and process.identity is not None:
            process.identity.end()


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
