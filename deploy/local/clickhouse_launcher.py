"""Run ClickHouse out of chDB as a server, in the foreground: `python -m deploy.local.clickhouse_launcher FOLDER`.

The folder holds `etc/config.xml` (see `clickhouse.ClickHouseServer`). The engine is `clickhouse-local` in its
interactive mode: its first query opens the listeners, and then its prompt waits for input that never comes. It waits on
a pseudo-terminal, because without a terminal one wrong password on the native port aborts the whole process. On
SIGTERM we type Ctrl-D at that prompt, which ends it in good order.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from deploy.local.clickhouse import DATABASE

FIRST_QUERY = (
    f"CREATE DATABASE IF NOT EXISTS {DATABASE} ENGINE = Atomic; SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP"
)
END_OF_INPUT = b"\x04"
STOP_SECONDS = 30


def run(folder: Path) -> int:
    """Serve until SIGTERM or SIGINT; the exit code: 0 after an orderly stop, 1 when the engine ended by itself."""
    os.umask(0o077)
    lock = (folder / "launcher.lock").open("w")  # held, with the file open, until this process ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"another ClickHouse runs on {folder}", flush=True)
        return 1
    # Blocked before the engine's threads exist, which inherit that: the signals are for sigtimedwait below.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    os.environ |= {"TERM": "dumb", "TZ": "UTC"}  # the engine takes its time zone from there when it is loaded
    try:
        import chdb._chdb
    except ImportError as error:
        print(f"no ClickHouse for this platform ({error}): set CLICKHOUSE_URL to a server that you have", flush=True)
        return 1
    engine: Any = chdb._chdb
    engine.set_signal_handlers_enabled(False)  # its crash handler would sleep for minutes before it lets us die
    os.chdir(folder / "etc")  # where the engine looks for config.xml
    keyboard, terminal = os.openpty()
    os.dup2(terminal, 0)
    errors: list[str] = []
    thread = threading.Thread(target=lambda: errors.append(_serve(engine, folder)), daemon=True)
    thread.start()
    while thread.is_alive():
        if signal.sigtimedwait({signal.SIGTERM, signal.SIGINT}, 0.5):
            os.write(keyboard, END_OF_INPUT)
            thread.join(STOP_SECONDS)
            return 0 if not thread.is_alive() else 1
    print(f"the engine ended by itself: {' '.join(errors)}", flush=True)
    return 1


def _serve(engine: Any, folder: Path) -> str:
    """Block while the server runs; its error message. The format is also the HTTP port's default format."""
    return str(engine.query(FIRST_QUERY, "TabSeparated", path=str(folder)).error_message())


def main() -> None:
    code = run(Path(sys.argv[1]).resolve())
    sys.stdout.flush()
    os._exit(code)  # past the engine's threads, which may be stuck and would keep the interpreter from ending


if __name__ == "__main__":
    main()
