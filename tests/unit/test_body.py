"""Bodies: unpacked within limits, counted against the budget, split into touchpoints."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest

from ingest.body import Body, items
from ingest.budget import Budget, Overloaded
from ingest.rejected import Rejected
from runtime.http import Refused

PLENTY = 1 << 30


def read(chunks: list[bytes], encoding: str = "", limit: int = 1000, budget: Budget | None = None) -> bytes:
    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return asyncio.run(Body(encoding, limit, budget or Budget(PLENTY)).read(stream()))


def by(size: int, body: bytes) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_gzip_is_unpacked_however_it_arrives(size: int) -> None:
    body = b"touchpoint " * 80
    assert read(by(size, gzip.compress(body)), "gzip") == body
    assert read(by(size, gzip.compress(body[:400]) + gzip.compress(body[400:])), "gzip") == body, "two members"


@pytest.mark.parametrize("size", [1000, 1001])
@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_the_limit_is_exact(size: int, encoding: str) -> None:
    body = b"x" * size
    chunks = by(64, gzip.compress(body) if encoding else body)
    if size <= 1000:
        assert read(chunks, encoding) == body
    else:
        with pytest.raises(Refused) as refused:
            read(chunks, encoding)
        assert refused.value.status == 413


def test_a_bomb_is_refused_before_it_goes_off() -> None:
    """100 MB out of 100 kB: never more than the limit is unpacked, as the budget shows."""
    budget = Budget(PLENTY)
    with pytest.raises(Refused) as refused:
        read(by(65_536, gzip.compress(bytes(100 << 20))), "gzip", limit=1 << 20, budget=budget)
    assert refused.value.status == 413
    assert budget.taken <= 1 << 20


@pytest.mark.parametrize(
    "damage", [lambda packed: packed[:-5], lambda packed: b"x" + packed, lambda packed: packed + b"x"]
)
def test_damaged_gzip_is_refused(damage: object) -> None:
    assert callable(damage)
    with pytest.raises(Refused) as refused:
        read([damage(gzip.compress(b"touchpoint"))], "gzip")
    assert (refused.value.status, refused.value.reason) == (400, "malformed_gzip")


def test_a_body_counts_against_the_budget_until_it_is_released() -> None:
    async def run() -> None:
        async def stream() -> AsyncIterator[bytes]:
            yield b"x" * 600

        budget = Budget(1000)
        first, second = Body("", 1000, budget), Body("", 1000, budget)
        await first.read(stream())
        with pytest.raises(Overloaded):
            await second.read(stream())
        first.release()
        second.release()
        assert budget.taken == 0

    asyncio.run(run())


@pytest.mark.parametrize(
    ("body", "content_type", "found"),
    [
        (b'{"a": 1}', "application/json", [b'{"a": 1}']),
        (b' [{"a": 1}, 2 ,[3]] ', "application/json; charset=utf-8", [b'{"a": 1}', b"2", b"[3]"]),
        (b'{"a": 1}\r\n\n{"b": 2}\n', "application/x-ndjson", [b'{"a": 1}\r', b'{"b": 2}']),
        (b'{"a": 1}\n{bad\n', "application/json", [b'{"a": 1}', b"{bad"]),
        (b'{"a": 1}', "", [b'{"a": 1}']),
        (b'{"a":\n1}', "text/plain", [b'{"a":\n1}']),
        (b"[]", "application/vnd.tacos+json", []),
    ],
)
def test_touchpoints_are_found_in_a_body(body: bytes, content_type: str, found: list[bytes]) -> None:
    assert items(body, content_type) == found


@pytest.mark.parametrize("body", [b'[{"a": 1}', b"[1 2]", b'{"a": 1}{', b'{"a"\n{"b": 2}'])
def test_what_is_no_body_is_rejected_whole(body: bytes) -> None:
    found = items(body, "application/json")
    assert isinstance(found, Rejected)
    assert found.reason == "malformed_json"
