"""What is asked of a process that has no HTTP interface of its own: /metrics, /healthz (it lives), /readyz (it works)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from runtime.settings import ProcessSettings

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

STARTING = "it is starting"


class Readiness:
    """Why a process does not work now; "" while it does: its own `problem`, which is that it starts, then what is asked."""

    def __init__(self) -> None:
        self.problem = STARTING
        self._asked: list[Callable[[], str]] = []

    def ask(self, problem: Callable[[], str]) -> None:
        """Ask this too, whenever somebody wants to know; in a thread."""
        self._asked.append(problem)

    def __call__(self) -> str:
        problems = (asked() for asked in self._asked)
        return next(filter(None, problems), self.problem)


def serve(settings: ProcessSettings, problem: Callable[[], str]) -> None:
    """Serve where the settings say, in a thread that ends with the process; port 0: do not. `problem` is asked in threads."""
    if not settings.metrics_port:
        return
    metrics = make_wsgi_app()

    def application(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if path == "/healthz":
            return _answer(start, "200 OK", {"status": "alive"})
        if path == "/readyz":
            why = problem()
            if why:
                return _answer(start, "503 Service Unavailable", {"status": "not ready", "message": why})
            return _answer(start, "200 OK", {"status": "ready"})
        scraped: Iterable[bytes] = metrics(environ, start)
        return scraped

    server = make_server(settings.metrics_host, settings.metrics_port, application, _Server, _Silent)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()


def _answer(start: StartResponse, status: str, content: dict[str, str]) -> list[bytes]:
    start(status, [("Content-Type", "application/json")])
    return [json.dumps(content).encode()]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Whoever scrapes is no news."""
