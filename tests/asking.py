"""Asking a process over HTTP, and waiting until something is so."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

HOST = "127.0.0.1"


class Answer(NamedTuple):
    """What came back; headers by their names in small letters; content decoded where it is JSON."""

    status: int
    headers: Mapping[str, str]
    content: Any


def ask(
    port: int, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """One request over a connection of its own. Raises OSError, http.client.HTTPException."""
    connection = http.client.HTTPConnection(HOST, port, timeout=60)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    given = {name.lower(): value for name, value in response.getheaders()}
    is_json = given.get("content-type", "").startswith("application/json")
    return Answer(response.status, given, json.loads(content) if is_json else content.decode())


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    """AssertionError when it is not so within so many seconds."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, f"not within {seconds} s: {what}"
        time.sleep(0.02)
