"""Start the programs of a plan in order, keep them alive, stop them in the reverse order.

    python -m deploy.local.supervisor LOCK

is how `desireline up` runs it detached: the `Plan` comes as JSON on standard input, for it may hold a password that the
list of processes must not show; LOCK is the descriptor of the home's lock, inherited.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType

import structlog

from deploy.local import logs
from deploy.local.child import Child
from deploy.local.plan import Plan
from deploy.local.processes import Identity
from deploy.local.programs import Program, programs
from deploy.local.state import ProcessState, StackState
from runtime import logging

TICK_SECONDS = 0.1
FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0  # seconds before a process that ended is started again
FAILING_AFTER = 3  # ends in a row, each before it had run for HEALTHY_SECONDS: said to be failing, and still tried
HEALTHY_SECONDS = 30.0


def delay(failures: int) -> float:
    """Seconds to wait before the next start after so many ends in a row (1 or more): doubling, bounded."""
    return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures - 1, 32))


class Supervised:
    """One program under supervision; `state` is what is told about it. Times are seconds on the given clocks."""

    def __init__(self, program: Program, plan: Plan) -> None:
        self.program = program
        self.state = ProcessState(name=program.name, port=program.port, version=program.version)
        environment = plan.environment | dict(program.environment)
        self.child = Child(program.name, program.argv, logs.path(plan.home, program.name), environment)
        self._failures = 0
        self._started = 0.0
        self._start_at = 0.0

    def tick(self, settled: set[str], now: float) -> None:
        """One step; `settled` are the programs that run or are done, `now` is monotonic."""
        match self.state.status:
            case "waiting":
                if settled.issuperset(self.program.needs):
                    self._start(now)
            case "restarting" | "failing" if self.state.identity is None:
                if now >= self._start_at:
                    self.state.restarts += 1
                    self._start(now)
            case "starting" | "restarting" | "failing":
                self._look_whether_ready(now)
            case "running":
                if not self.child.alive:
                    self._ended(now, self.child.how_it_ended())

    def stop(self) -> None:
        self.child.stop(self.program.stop_seconds)
        self.state.identity = None
        self._become("stopped")

    def _start(self, now: float) -> None:
        self.child.start()
        self._started = now
        self.state.identity = self.child.identity
        if self.state.status == "waiting":
            self._become("starting")

    def _look_whether_ready(self, now: float) -> None:
        if not self.child.alive:
            if self.program.task and self.child.exit_code == 0:
                self.state.identity, self.state.problem = None, ""
                self._become("done")
            else:
                self._ended(now, self.child.how_it_ended())
        elif not self.program.task and self.program.ready():
            self.state.problem = ""
            self._become("running")
        elif now - self._started > self.program.start_seconds:
            self.child.stop(self.program.stop_seconds)
            self._ended(now, f"was not ready after {self.program.start_seconds:.0f} s:\n{self.child.last_words()}")

    def _ended(self, now: float, how: str) -> None:
        self._failures = 1 if now - self._started > HEALTHY_SECONDS else self._failures + 1
        self._start_at = now + delay(self._failures)
        self.state.identity = None
        self.state.problem = how
        self._become("failing" if self._failures >= FAILING_AFTER else "restarting")

    def _become(self, status: str) -> None:
        self.state = self.state.model_copy(update={"status": status, "since": time.time()})


class Supervisor:
    """The programs of one plan. `run` returns when it was told to stop (SIGTERM, SIGINT, `ask_to_stop`) and all ended."""

    def __init__(self, plan: Plan, on_change: Callable[[StackState], None] | None = None) -> None:
        self._plan = plan
        self._on_change = on_change
        self._supervised = [Supervised(program, plan) for program in programs(plan)]
        # The user's own servers are there already: nothing of ours waits for them.
        self._given = {"kafka", "clickhouse"} - {supervised.program.name for supervised in self._supervised}
        self._state = StackState(
            supervisor=Identity.own(), started=time.time(), ports=plan.ports, environment=plan.environment
        )
        self._told = ""
        self._stopping = False

    def ask_to_stop(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        self._stopping = True

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.ask_to_stop)
        if self._plan.clickhouse:
            self._plan.clickhouse.write_configuration()
        try:
            while not self._stopping:
                self._tick()
                time.sleep(TICK_SECONDS)
        finally:
            for supervised in reversed(self._supervised):
                supervised.stop()
                self._tell()
            self._state.supervisor = None
            self._tell()

    def _tick(self) -> None:
        for supervised in self._supervised:
            settled = {other.program.name for other in self._supervised if other.state.settled}
            supervised.tick(settled | self._given, time.monotonic())
            if self._stopping:
                return
        self._tell()

    def _tell(self) -> None:
        """Write the state file, and call back, when something has changed."""
        self._state.processes = [supervised.state for supervised in self._supervised]
        told = self._state.model_dump_json()
        if told != self._told:
            self._told = told
            self._state.save(self._plan.home)
            if self._on_change:
                self._on_change(self._state)


def log_changes() -> Callable[[StackState], None]:
    """A callback that writes a log line whenever a process's status has changed."""
    logging.configure("supervisor")
    log = structlog.get_logger()
    told: dict[str, str] = {}

    def change(state: StackState) -> None:
        for process in state.processes:
            if told.get(process.name) != process.status:
                told[process.name] = process.status
                known = {"restarts": process.restarts, "problem": process.problem} if process.problem else {}
                log.info(process.status, name=process.name, pid=process.identity and process.identity.pid, **known)

    return change


def main() -> None:
    with os.fdopen(int(sys.argv[1])):  # the lock, held until all have ended
        Supervisor(Plan.model_validate_json(sys.stdin.read()), log_changes()).run()


if __name__ == "__main__":
    main()
