"""The collector's HTTP interface: routes, who may write, and the answers. What a touchpoint is decides `accept`."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Sequence

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ingest.accept import Accepted, accept_request
from ingest.body import Body, items
from ingest.budget import BrokerAway, Budget, Unavailable
from ingest.following import Following
from ingest.openapi import document
from ingest.producer import Producer
from ingest.rejected import Rejected, is_kept
from ingest.settings import CollectorSettings
from ingest.source import Source
from runtime import keys, metrics
from runtime.http import Refused, answer, http_error
from schemas.codec import encode
from schemas.dead_letter import dead_letter
from schemas.topics import DEAD_LETTERS, TOUCHPOINTS

READ_SECONDS = 30.0  # for a client to send one body
PREFLIGHT_SECONDS = 86_400

Records = dict[str, list[tuple[bytes, bytes]]]


class Api:
    """The handlers; what they are given is shared by all requests."""

    def __init__(self, settings: CollectorSettings, producer: Producer, following: Following, budget: Budget) -> None:
        """Raises KindsError."""
        self._settings = settings
        self._kinds = settings.kinds
        self._producer = producer
        self._following = following
        self._budget = budget
        self._openapi = encode(document(settings))
        self._requests = itertools.count(1)
        metrics.COLLECTOR_BYTES.set_function(lambda: budget.taken)
        metrics.COLLECTOR_BROKER.set_function(lambda: producer.ready)

    async def touchpoints(self, request: Request) -> Response:
        """POST /v1/touchpoints: answered after the broker acknowledged every record of it."""
        started = time.monotonic()
        try:
            response = await self._collect(request)
        except Refused as refused:
            headers = {"WWW-Authenticate": 'Bearer realm="touchpoints"'} if refused.status == 401 else None
            response = answer(refused.status, {"error": refused.reason, "message": str(refused)}, headers)
        except Unavailable as unavailable:
            status, error = (503, "broker_away") if isinstance(unavailable, BrokerAway) else (429, "overloaded")
            content = {"error": error, "message": str(unavailable)}
            response = answer(status, content, {"Retry-After": str(unavailable.retry_after)})
        metrics.COLLECTOR_REQUESTS.labels(response.status_code).inc()
        metrics.COLLECTOR_SECONDS.observe(time.monotonic() - started)
        return response

    async def _collect(self, request: Request) -> Response:
        source = self._source(request)
        body = Body(request.headers.get("content-encoding", "").lower(), self._settings.max_body_bytes, self._budget)
        try:
            async with asyncio.timeout(READ_SECONDS):
                content = await body.read(request.stream())
            return await self._write(source, content, request.headers.get("content-type", ""))
        except TimeoutError as error:
            raise Refused(408, "too_slow", f"the body did not arrive within {READ_SECONDS:.0f} s") from error
        except ClientDisconnect as error:
            raise Refused(400, "disconnected", "the client went away while it was sending") from error
        finally:
            body.release()

    async def _write(self, source: Source, body: bytes, content_type: str) -> Response:
        """Accept what can be accepted, write all of it, and tell what became of each item."""
        found = items(body, content_type)
        raws = [body] if isinstance(found, Rejected) else found
        if len(raws) > self._settings.max_items:
            raise Refused(
                413, "too_many", f"{len(raws)} touchpoints are more than {self._settings.max_items}: split them"
            )
        if not raws or not body.strip():
            raise Refused(400, "empty", "no touchpoint in the request: send an object, an array, or one object a line")
        if not self._following.ready:
            raise BrokerAway(self._following.problem, retry_after=2)
        received_at = time.time_ns() // 1_000_000
        results: Sequence[Accepted | Rejected]
        if isinstance(found, Rejected):
            results = [found]
        else:
            results = accept_request(raws, source, received_at, self._kinds, self._following.erased)
        await self._acknowledged(received_at, self._records(raws, results, source, received_at))

        rejected = [
            {"index": index, "reason": result.reason, "path": result.path, "message": result.message}
            for index, result in enumerate(results)
            if isinstance(result, Rejected)
        ]
        accepted = len(results) - len(rejected)
        if accepted:
            metrics.COLLECTOR_TOUCHPOINTS.labels(source.name, "accepted").inc(accepted)
        for reason, count in Counter(item["reason"] for item in rejected).items():
            metrics.COLLECTOR_TOUCHPOINTS.labels(source.name, reason).inc(count)
        return answer(200 if accepted else 400, {"accepted": accepted, "rejected": rejected})

    def _records(
        self, raws: Sequence[bytes], results: Sequence[Accepted | Rejected], source: Source, received_at: int
    ) -> Records:
        """The accepted for their topic, the rejected for the dead letters."""
        records: Records = {TOUCHPOINTS.name: [result for result in results if isinstance(result, Accepted)]}
        if len(records[TOUCHPOINTS.name]) < len(results):
            request = f"{received_at}-{next(self._requests)}"
            records[DEAD_LETTERS.name] = [
                (
                    source.name.encode(),
                    encode(
                        dead_letter(
                            raw,
                            source=source.name,
                            leg="collector",
                            reason=result.reason,
                            path=result.path,
                            message=result.message,
                            address=f"{request}/{index}",
                            at=received_at,
                        )
                    ),
                )
                for index, (raw, result) in enumerate(zip(raws, results, strict=True))
                if isinstance(result, Rejected) and is_kept(result.reason)
            ]
        return records

    async def _acknowledged(self, received_at: int, records: Records) -> None:
        written = self._producer.put(received_at, records)
        done, _ = await asyncio.wait([written], timeout=self._settings.ack_timeout)
        if not done:
            raise BrokerAway(f"not acknowledged within {self._settings.ack_timeout:.0f} s", retry_after=2)
        written.result()

    def _source(self, request: Request) -> Source:
        """Who sends, by write key: `Authorization: Bearer KEY`, Basic with the key as user, or `?key=KEY`."""
        key = keys.carried(request.headers.get("authorization", ""))
        if key is None:
            key = request.query_params.get("key", "")
        source = self._settings.sources.source(key)
        if source is None:
            raise Refused(401, "unknown_key", "send a write key: Authorization: Bearer KEY")
        return source

    async def openapi(self, _request: Request) -> Response:
        return Response(self._openapi, media_type="application/json")

    async def healthz(self, _request: Request) -> Response:
        return answer(200, {"status": "alive"})

    async def readyz(self, _request: Request) -> Response:
        if self._producer.ready and self._following.ready:
            return answer(200, {"status": "ready"})
        problem = self._following.problem if self._producer.ready else self._producer.problem
        return answer(503, {"status": "not ready", "message": problem}, {"Retry-After": "2"})

    async def metrics(self, _request: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def application(api: Api, settings: CollectorSettings) -> Starlette:
    """The ASGI application."""
    return Starlette(
        routes=[
            Route("/v1/touchpoints", api.touchpoints, methods=["POST"]),
            Route("/v1/openapi.json", api.openapi),
            Route("/healthz", api.healthz),
            Route("/readyz", api.readyz),
            Route("/metrics", api.metrics),
        ],
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=settings.origins,
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type", "Content-Encoding"],
                expose_headers=["Retry-After"],
                max_age=PREFLIGHT_SECONDS,
            )
        ],
        exception_handlers={HTTPException: http_error},
    )
