"""What the processes that speak HTTP share: the server and how it ends, and answers as JSON."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from schemas.codec import encode


class Refused(Exception):
    """The request as a whole is answered with `status`, `{"error": reason, "message": …}`."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class Server(uvicorn.Server):
    """Ends in good order on SIGINT and SIGTERM, with exit code 0; uvicorn's own way raises the signal once more."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def server(application: ASGIApp, host: str, port: int, stop_seconds: int) -> Server:
    """To be served until SIGINT or SIGTERM; requests under way then have so many seconds. It logs nothing of a request."""
    return Server(
        uvicorn.Config(
            application,
            host=host,
            port=port,
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            backlog=2048,
            timeout_graceful_shutdown=stop_seconds,
        )
    )


def answer(status: int, content: object, headers: dict[str, str] | None = None) -> Response:
    return Response(encode(content), status, headers, media_type="application/json")


async def http_error(_request: Request, error: Exception) -> Response:
    """404 and 405 in the form of every other answer."""
    assert isinstance(error, HTTPException)
    return answer(error.status_code, {"error": error.detail.lower().replace(" ", "_")}, dict(error.headers or {}))
