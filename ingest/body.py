"""A request's body → the raw touchpoints in it: decompression with limits, one object, an array, or a line each."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

import msgspec

from ingest.budget import Budget
from ingest.rejected import Rejected
from runtime.http import Refused

JSON_TYPES = frozenset({"", "application/json", "text/json", "text/plain", "application/octet-stream"})
NDJSON_TYPES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})

_GZIP = 16 + zlib.MAX_WBITS
_array = msgspec.json.Decoder(list[msgspec.Raw])
_one = msgspec.json.Decoder(msgspec.Raw)


class Body:
    """Gathers what a client sends, unpacked, never more than `max_bytes`; `budget` counts it until `release`."""

    def __init__(self, encoding: str, max_bytes: int, budget: Budget) -> None:
        if encoding not in ("", "identity", "gzip"):
            raise Refused(415, "unsupported_encoding", f"Content-Encoding {encoding!r}: send gzip or none")
        self._unpacker = zlib.decompressobj(_GZIP) if encoding == "gzip" else None
        self._max_bytes = max_bytes
        self._budget = budget
        self._received = 0
        self._parts: list[bytes] = []
        self._size = 0

    async def read(self, stream: AsyncIterator[bytes]) -> bytes:
        """The whole body. Raises `Refused` (400, 413) and `Overloaded`."""
        async for chunk in stream:
            self._received += len(chunk)
            if self._received > self._max_bytes:
                raise self._too_large()
            self._keep(chunk if self._unpacker is None else self._unpack(chunk))
        if self._unpacker is not None and not self._unpacker.eof and self._received:
            raise Refused(400, "malformed_gzip", "the gzip stream ends too early: send it whole")
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    def release(self) -> None:
        """The body is not needed any more."""
        self._budget.give_back(self._size)
        self._size = 0

    def _keep(self, part: bytes) -> None:
        if part:
            self._budget.take(len(part))
            self._size += len(part)
            self._parts.append(part)

    def _unpack(self, chunk: bytes) -> bytes:
        """At most one byte more than the limit comes out, however much is packed in it."""
        assert self._unpacker is not None
        parts = []
        left = self._max_bytes - self._size
        try:
            while chunk:
                if self._unpacker.eof:  # a gzip file may be several, one after the other
                    self._unpacker = zlib.decompressobj(_GZIP)
                part = self._unpacker.decompress(chunk, left + 1)
                left -= len(part)
                if left < 0:
                    raise self._too_large()
                parts.append(part)
                chunk = self._unpacker.unconsumed_tail or self._unpacker.unused_data
        except zlib.error as error:
            raise Refused(400, "malformed_gzip", f"{error}: send gzip, or leave Content-Encoding out") from error
        return b"".join(parts)

    def _too_large(self) -> Refused:
        return Refused(413, "too_large", f"more than {self._max_bytes} bytes: send smaller requests")


def items(body: bytes, content_type: str) -> list[bytes] | Rejected:
    """The raw touchpoints of a body. Raises `Refused` for a content type that holds none."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in NDJSON_TYPES:
        return lines(body)
    if media_type not in JSON_TYPES and not media_type.endswith("+json"):
        raise Refused(
            415, "unsupported_type", f"Content-Type {media_type!r}: send application/json or application/x-ndjson"
        )
    start = body.lstrip(b" \t\r\n")[:1]
    try:
        if start == b"[":
            return [bytes(raw) for raw in _array.decode(body)]
        _one.decode(body)
    except msgspec.DecodeError as error:
        if start == b"{" and _first_line_is_json(body):
            return lines(body)
        return Rejected("malformed_json", "", f"{error}: send JSON as RFC 8259 defines it")
    except RecursionError:
        return Rejected("too_deep", "", "nested deeper than any touchpoint: flatten it or send it as text")
    return [body]


def lines(body: bytes) -> list[bytes]:
    """The lines that hold something."""
    return [line for line in body.split(b"\n") if line and not line.isspace()]


def _first_line_is_json(body: bytes) -> bool:
    """Is it a file of lines that was sent as application/json?"""
    first, newline, rest = body.partition(b"\n")
    if not newline or not rest.strip():
        return False
    try:
        _one.decode(first)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
