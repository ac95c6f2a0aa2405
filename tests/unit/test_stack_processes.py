"""Children, their logs and their supervision, on small processes that listen nowhere."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local import instance, logs
from deploy.local.child import Child
from deploy.local.errors import StackError
from deploy.local.plan import Plan
from deploy.local.processes import Identity
from deploy.local.programs import Program
from deploy.local.state import ProcessState, StackState, load
from deploy.local.supervisor import FAILING_AFTER, FIRST_DELAY, HEALTHY_SECONDS, LONGEST_DELAY, Supervised, delay

FOREVER = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(600)"]
STUBBORN = [
    *(sys.executable, "-c"),
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(600)",
]


def eventually(condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not after {seconds} s: {what}"
        time.sleep(0.01)


def status(supervised: Supervised) -> str:
    return supervised.state.status


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[[Program], Supervised]]:
    """Supervised programs of an otherwise empty plan, ended when the test ends."""
    plan = Plan(home=tmp_path, only="servers", ports={}, kafka=None, clickhouse=None, environment={"ASKED": "yes"})
    made: list[Supervised] = []

    def make(program: Program) -> Supervised:
        made.append(Supervised(program, plan))
        return made[-1]

    yield make
    for supervised in made:
        supervised.child.kill()


@given(failures=st.integers(1, 10_000))
def test_the_delay_before_a_restart_grows_and_is_bounded(failures: int) -> None:
    assert FIRST_DELAY <= delay(failures) <= delay(failures + 1) <= LONGEST_DELAY
    assert delay(1) == FIRST_DELAY
    assert delay(20) == LONGEST_DELAY


def test_a_process_that_was_killed_comes_back(supervise: Callable[[Program], Supervised]) -> None:
    supervised = supervise(Program("server", FOREVER))
    supervised.tick(set(), now=0)
    supervised.tick(set(), now=0)
    assert status(supervised) == "running"
    killed = supervised.child.pid
    supervised.child.kill()
    supervised.tick(set(), now=100)
    assert status(supervised) == "restarting"
    assert supervised.state.problem.startswith("was ended by SIGKILL")
    supervised.tick(set(), now=100 + FIRST_DELAY - 0.01)
    assert not supervised.child.alive, "started again too early"
    supervised.tick(set(), now=100 + FIRST_DELAY)
    supervised.tick(set(), now=100 + FIRST_DELAY)
    assert (supervised.state.status, supervised.state.restarts, supervised.state.problem) == ("running", 1, "")
    assert supervised.child.pid != killed


def test_a_process_that_ends_at_once_every_time_is_said_to_be_failing(
    supervise: Callable[[Program], Supervised],
) -> None:
    broken = [sys.executable, "-c", "import os; print('no', os.environ['ASKED'], 'key'); raise SystemExit(3)"]
    supervised = supervise(Program("broken", broken, ready=lambda: False))
    now, starts = 0.0, 0
    while starts < FAILING_AFTER:
        assert status(supervised) != "failing"
        supervised.tick(set(), now)
        starts += 1
        eventually(lambda: not supervised.child.alive, "the process ends")
        supervised.tick(set(), now)
        now += LONGEST_DELAY
    assert status(supervised) == "failing"
    assert supervised.state.problem == "ended with exit code 3:\nno yes key"
    supervised.tick(set(), now)
    assert supervised.child.exit_code is None or supervised.state.restarts == FAILING_AFTER, "it is still tried"


def test_ends_count_as_one_row_only_while_they_come_fast(supervise: Callable[[Program], Supervised]) -> None:
    supervised = supervise(Program("server", FOREVER))
    now = 0.0
    for _ in range(FAILING_AFTER + 2):
        supervised.tick(set(), now)  # starts
        supervised.tick(set(), now)  # runs
        now += HEALTHY_SECONDS + 1
        supervised.child.kill()
        supervised.tick(set(), now)  # ended
        assert status(supervised) == "restarting"
        now += FIRST_DELAY


def test_a_process_that_never_gets_ready_is_ended_and_tried_again(supervise: Callable[[Program], Supervised]) -> None:
    supervised = supervise(Program("slow", FOREVER, ready=lambda: False, start_seconds=5))
    supervised.tick(set(), now=0)
    eventually(lambda: "here" in supervised.child.last_words(), "it has started")
    supervised.tick(set(), now=4)
    assert status(supervised) == "starting"
    supervised.tick(set(), now=6)
    assert status(supervised) == "restarting"
    assert supervised.state.problem == "was not ready after 5 s:\nhere"
    assert not supervised.child.alive


def test_a_program_waits_for_what_it_needs(supervise: Callable[[Program], Supervised]) -> None:
    supervised = supervise(Program("second", FOREVER, needs=("first",)))
    supervised.tick({"other"}, now=0)
    assert status(supervised) == "waiting"
    supervised.tick({"first", "other"}, now=0)
    assert status(supervised) == "starting"


def test_a_task_is_done_when_it_ends_well(supervise: Callable[[Program], Supervised]) -> None:
    supervised = supervise(Program("task", [sys.executable, "-c", "pass"], task=True))
    supervised.tick(set(), now=0)
    eventually(lambda: not supervised.child.alive, "the task ends")
    supervised.tick(set(), now=1)
    supervised.tick(set(), now=1000)
    assert (supervised.state.status, supervised.state.restarts) == ("done", 0)


def test_what_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    child = Child("stubborn", STUBBORN, tmp_path / "stubborn.log")
    child.start()
    child.wait_until(lambda: "here" in child.last_words(), 20)
    child.stop(seconds=0.2)
    assert child.exit_code == -signal.SIGKILL


def test_waiting_for_a_child_that_ended_says_how(tmp_path: Path) -> None:
    child = Child("broken", [sys.executable, "-c", "raise SystemExit('no licence')"], tmp_path / "broken.log")
    child.start()
    with pytest.raises(StackError, match="broken ended with exit code 1:\nno licence"):
        child.wait_until(lambda: False, 20)


def test_last_words_are_those_of_the_latest_start(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("from long ago\n")
    child = Child("server", [sys.executable, "-c", "print('\\x1b[1mnew\\x1b[0m')"], log)
    child.start()
    eventually(lambda: not child.alive, "it ends")
    assert child.last_words() == "new"
    assert log.read_text().startswith("from long ago\n")


def test_a_log_is_rotated_when_it_has_grown(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("x" * 100)
    logs.rotate(log, max_bytes=100)
    assert log.exists()
    logs.rotate(log, max_bytes=99)
    assert not log.exists()
    assert (tmp_path / "server.log.1").read_text() == "x" * 100


@given(lines=st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=30), max_size=40))
def test_the_tail_is_the_last_lines(lines: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    log = tmp_path_factory.getbasetemp() / "tail.log"
    log.write_text("".join(f"{line}\n" for line in lines))
    assert logs.tail(log, 5).splitlines() == lines[-5:]
    assert logs.tail(log, 0) == ""


def test_a_process_is_known_by_pid_and_start_time() -> None:
    own = Identity.own()
    process = own.process()
    assert process is not None
    assert process.pid == os.getpid()
    assert Identity(pid=own.pid, started=own.started - 60).process() is None, "another process had this pid before"


def test_leftovers_are_ended_by_pid_and_start_time(tmp_path: Path) -> None:
    left = Child("left", FOREVER, tmp_path / "left.log")
    left.start()
    other = Child("other", FOREVER, tmp_path / "other.log")
    other.start()
    try:
        assert left.identity is not None
        assert other.identity is not None
        reused = Identity(pid=other.identity.pid, started=other.identity.started - 60)
        StackState(
            supervisor=Identity(pid=other.pid, started=1),
            processes=[
                ProcessState(name="left", status="running", identity=left.identity),
                ProcessState(name="reused", status="running", identity=reused),
            ],
        ).save(tmp_path)
        with instance.lock(tmp_path):
            assert instance.end_leftovers(tmp_path) == ["left"]
        assert not left.alive
        assert other.alive, "a process that is not ours was ended"
        assert load(tmp_path).supervisor is None
    finally:
        left.kill()
        other.kill()


def test_one_stack_per_home(tmp_path: Path) -> None:
    StackState(supervisor=Identity(pid=4711, started=1)).save(tmp_path)
    assert not instance.is_running(tmp_path)
    with instance.lock(tmp_path):
        assert instance.is_running(tmp_path)
        with pytest.raises(StackError, match=r"running already \(pid 4711, home .*desireline down"):
            instance.lock(tmp_path)
    instance.lock(tmp_path).close()
