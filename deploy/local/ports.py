"""Ports on loopback: find free ones, and say who holds a taken one."""

from __future__ import annotations

import random
import socket

import psutil

from deploy.local.errors import StackError

LOOPBACK = "127.0.0.1"
# Below the ranges from which Linux (32768) and macOS (49152) take the ports of outgoing connections: otherwise some
# client's connection may sit on a server's port just when the server comes back.
RANGE = range(20_000, 32_000)


def is_free(port: int) -> bool:
    try:
        socket.create_server((LOOPBACK, port)).close()
    except OSError:
        return False
    return True


def free_port(taken: set[int] | None = None) -> int:
    """A random port that nobody listens on and that is not in `taken`."""
    # Not a secret: random only so that two stacks starting at the same time rarely choose the same.
    candidates = random.sample(RANGE, k=200)
    for port in candidates:
        if port not in (taken or ()) and is_free(port):
            return port
    raise StackError(f"no free port found on {LOOPBACK} between {RANGE.start} and {RANGE.stop}")


def holder(port: int) -> str | None:
    """`name (pid N)` of the process that listens on the port, as far as this user may see it."""
    for process in psutil.process_iter(["name"]):
        try:
            connections = process.net_connections(kind="tcp")
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        for connection in connections:
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                return f"{process.info['name']} (pid {process.pid})"
    return None


def require_free(port: int, what: str, option: str) -> int:
    """The port itself, or a `StackError` that names who holds it and the option that chooses another."""
    if not is_free(port):
        by = holder(port)
        raise StackError(
            f"port {port} for {what} is taken{f' by {by}' if by else ''}: stop that, or choose another with {option}"
        )
    return port
