"""The read API: routes, who may read and how often, and the answers."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Annotated, Any

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard.lookups import Away, Lookups, TooMany
from dashboard.rate import Bucket
from dashboard.settings import DashboardSettings
from people import find, objects
from runtime import keys, metrics
from runtime.http import Refused, answer, http_error

MOST_BYTES = 16_384
READ_SECONDS = 10.0
STATUS = {"unknown": 404, "shared": 404, "ambiguous": 409}
NOTES = {
    "last_seen_on": "this is who was named last on this device or number; others may have used it before",
    "device": "nobody was ever named on this device or number: what is shown is its own",
}


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a lookup."""

    identifier: Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]
    touchpoints: Annotated[int, msgspec.Meta(ge=0, le=100)] = 10


_question = msgspec.json.Decoder(Question)


class Api:
    """The handlers."""

    def __init__(self, settings: DashboardSettings, lookups: Lookups) -> None:
        self._settings, self._lookups = settings, lookups
        self._buckets: dict[str, Bucket] = {}
        metrics.LOOKUP_READY.set_function(lambda: not lookups.problem)

    async def lookup(self, request: Request) -> Response:
        """POST /v1/people/lookup: what somebody is in the middle of."""
        started, reader = time.monotonic(), ""
        try:
            reader = self._reader(request)
            self._allow(reader, started)
            response = answer(200, await self._found(await _read(request)))
        except Refused as refused:
            response = answer(refused.status, {"error": refused.reason, "message": str(refused)}, _headers(refused))
        except TooOften as often:
            content = {"error": "too_often", "message": str(often)}
            response = answer(429, content, {"Retry-After": str(often.retry_after)})
        metrics.LOOKUP_REQUESTS.labels(reader, response.status_code).inc()
        metrics.LOOKUP_SECONDS.observe(time.monotonic() - started)
        return response

    def _reader(self, request: Request) -> str:
        """Who asks, by read key. Raises Refused."""
        reader = self._settings.readers.owner(keys.carried(request.headers.get("authorization", "")) or "")
        if reader is None:
            raise Refused(401, "unknown_key", "send a read key: Authorization: Bearer KEY")
        return reader

    def _allow(self, reader: str, now: float) -> None:
        """Raises TooOften."""
        rate = self._settings.read_rate
        wait = self._buckets.setdefault(reader, Bucket(rate, now)).take(now)
        if wait:
            raise TooOften(f"{reader} may look up {rate:g} customers a second", math.ceil(wait))

    async def _found(self, question: Question) -> dict[str, Any]:
        """The answer. Raises Refused."""
        try:
            meant = await self._lookups.meant(question.identifier)
            if isinstance(meant, find.Refused):
                raise Refused(STATUS[meant.reason], meant.reason, meant.message)
            now = await self._lookups.now(meant.person, question.touchpoints)
        except Away as away:
            raise Refused(503, "not_ready", str(away)) from away
        except TooMany as error:
            raise Refused(
                422, "too_many", f"{error}: it is no single customer's; read v_touchpoints instead"
            ) from error
        if now is None:
            raise Refused(404, "unknown", find.UNKNOWN)
        note = {"note": NOTES[meant.by]} if meant.by in NOTES else {}
        return {"identifier": meant.identifier or None, "found_by": meant.by} | note | objects.now(now)

    async def healthz(self, _request: Request) -> Response:
        return answer(200, {"status": "alive"})

    async def readyz(self, _request: Request) -> Response:
        if not self._lookups.problem:
            return answer(200, {"status": "ready"})
        return answer(503, {"status": "not ready", "message": self._lookups.problem}, {"Retry-After": "2"})

    async def metrics(self, _request: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


class TooOften(Exception):
    """Ask again after `retry_after` seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def _headers(refused: Refused) -> dict[str, str]:
    match refused.status:
        case 401:
            return {"WWW-Authenticate": 'Bearer realm="people"'}
        case 503:
            return {"Retry-After": "2"}
        case _:
            return {}


async def _read(request: Request) -> Question:
    """The question in the body. Raises Refused."""
    body = bytearray()
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > MOST_BYTES:
                    raise Refused(413, "too_large", f"more than {MOST_BYTES} bytes: send one identifier")
    except TimeoutError as error:
        raise Refused(408, "too_slow", f"the body did not arrive within {READ_SECONDS:.0f} s") from error
    except ClientDisconnect as error:
        raise Refused(400, "disconnected", "the client went away while it was sending") from error
    try:
        return _question.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = "invalid" if isinstance(error, msgspec.ValidationError) else "malformed_json"
        help = 'send {"identifier": "email:ada@example.com"}, and "touchpoints": how many of the last, if not 10'
        raise Refused(400, reason, f"{error}; {help}") from error


def application(api: Api) -> Starlette:
    """The ASGI application."""
    return Starlette(
        routes=[
            Route("/v1/people/lookup", api.lookup, methods=["POST"]),
            Route("/healthz", api.healthz),
            Route("/readyz", api.readyz),
            Route("/metrics", api.metrics),
        ],
        exception_handlers={HTTPException: http_error},
    )
