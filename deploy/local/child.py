"""A child process: in its own session, logging into a file, ending with the process that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.logs import rotate, tail
from deploy.local.processes import Identity
from runtime.orphans import end_with


class Child:
    """One child process. Not thread-safe, and to be started from a thread that lives as long as the child:
    Linux tells a child of its parent's death when the *thread* that started it ends."""

    def __init__(self, name: str, argv: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.argv = list(argv)
        self.log = log
        self.environment = dict(environment or {})
        self.identity: Identity | None = None  # of the latest start
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process.poll()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def how_it_ended(self) -> str:
        """Its exit code or signal, and its last log lines, to follow its name."""
        code = self.exit_code
        assert code is not None, f"{self.name} is running"
        how = f"ended with exit code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"
        return f"{how}:\n{self.last_words()}".rstrip(":\n")

    def last_words(self) -> str:
        """The last lines that it has logged since its latest start."""
        return tail(self.log, start=self._log_start)

    def start(self) -> None:
        assert not self.alive, f"{self.name} is running"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        rotate(self.log)
        parent = os.getpid()
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | self.environment,
                start_new_session=True,  # the terminal's Ctrl-C is for the supervisor, which stops in order
                preexec_fn=lambda: end_with(parent),  # noqa: PLW1509 - one prctl and one getppid, no lock taken
            )
        self.identity = Identity.of(self._process.pid)  # exists: even if it has ended, nobody has waited for it yet

    def terminate(self) -> None:
        if self.alive:
            assert self._process is not None
            self._process.terminate()

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=30)

    def stop(self, seconds: float = 30) -> None:
        """SIGTERM; SIGKILL to what has not ended after `seconds`."""
        if self._process is None:
            return
        self.terminate()
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Return once `ready()`; when it ends or takes longer than `seconds`, raise `StackError` with its last lines."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.alive:
                raise StackError(f"{self.name} {self.how_it_ended()}")
            if time.monotonic() > deadline:
                raise StackError(f"{self.name} was not ready after {seconds:.0f} s:\n{self.last_words()}")
            time.sleep(0.05)
