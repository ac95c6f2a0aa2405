"""Bad input, as data: what comes in and the answer that the contract promises.

`RECORDS` are single touchpoints: the same answer through HTTP, alone or between good neighbours, and through a file.
`REQUESTS` are bodies and headers of `POST /v1/touchpoints`. Whoever tests more of the line uses the same lists.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KEY = "a-valid-write-key"  # for the source `SOURCE`, of a collector with its default limits
SOURCE = "bad-input"
JSON = {"Content-Type": "application/json"}
LINES = {"Content-Type": "application/x-ndjson"}


def good(number: int, **changes: Any) -> dict[str, Any]:
    """A touchpoint that is accepted; a field that is changed to `...` is left out."""
    touchpoint = {
        "event_id": f"good-{number}",
        "channel": "web",
        "name": "menu_viewed",
        "occurred_at": "2026-03-01T12:00:00Z",
        "identifiers": {"customer_id": f"customer-{number}"},
    }
    return {name: value for name, value in (touchpoint | changes).items() if value is not ...}


def as_json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass")


@dataclass(frozen=True)
class BadRecord:
    """One touchpoint that is rejected, with `reason` at `path`; `kept` says whether it is a dead letter."""

    name: str
    raw: bytes
    reason: str
    path: str = ""

    @property
    def kept(self) -> bool:
        return self.reason != "no_consent"


def _fields(name: str, reason: str, path: str, /, **changes: Any) -> BadRecord:
    return BadRecord(name, as_json(good(0, **changes)), reason, path)


def _text(name: str, old: str, new: str | bytes, reason: str = "malformed_json", path: str = "") -> BadRecord:
    """A good touchpoint's text with one place changed."""
    text = as_json(good(0, properties={"a": 1, "b": "text"}))
    assert old.encode() in text
    return BadRecord(name, text.replace(old.encode(), new if isinstance(new, bytes) else new.encode()), reason, path)


def _nested(depth: int) -> bytes:
    inner = b"[" * depth + b"]" * depth
    return as_json(good(0, properties={"a": "HERE"})).replace(b'"HERE"', inner)


_MANY = {f"key-{number}": number for number in range(257)}

RECORDS: tuple[BadRecord, ...] = (
    # not JSON
    BadRecord("open brace", b"{", "malformed_json"),
    BadRecord("plain text", b"hello", "malformed_json"),
    BadRecord("web page", b"<html><body>404</body></html>", "malformed_json"),
    BadRecord("cut in the middle", as_json(good(0))[:60], "malformed_json"),
    BadRecord("two objects", as_json(good(0)) + as_json(good(1)), "malformed_json"),
    _text("trailing comma", '"text"}', '"text",}'),
    _text("single quotes", '"text"', "'text'"),
    _text("key without quotes", '"a":', "a:"),
    _text("comment", '"a"', '/* a */ "a"'),
    _text("NaN", ": 1", ": NaN"),
    _text("Infinity", ": 1", ": Infinity"),
    _text("minus Infinity", ": 1", ": -Infinity"),
    _text("leading zero", ": 1", ": 01"),
    _text("leading plus", ": 1", ": +1"),
    _text("Python's True", ": 1", ": True"),
    _text("NUL byte in text", "text", "te\x00xt"),
    _text("control character in text", "text", "te\x01xt"),
    _text("bad escape", "text", "te\\xt"),
    _text("lone high surrogate", "text", "\\ud83d"),
    _text("lone low surrogate", "text", "\\udca9 and more text"),
    _text("invalid UTF-8", "text", b"caf\xe9"),
    _text("overlong UTF-8", "text", b"\xc0\xaf"),
    _text("surrogate as UTF-8", "text", b"\xed\xa0\xbd"),
    BadRecord("byte order mark", b"\xef\xbb\xbf" + as_json(good(0)), "malformed_json"),
    BadRecord("UTF-16", json.dumps(good(0)).encode("utf-16-le"), "malformed_json"),
    _text("number beyond any float", ": 1", ": 1e999", "invalid"),
    _text("number of 5,000 digits", ": 1", ": " + "9" * 5000, "invalid"),
    # keys twice
    _text("key twice", '"channel"', '"channel": "app", "channel"', "duplicate_key", "channel"),
    _text("key twice in properties", '"a"', '"b": 2, "a"', "duplicate_key", "b"),
    _text("key twice, escaped once", '"a": 1', '"a": 1, "\\u0061": 2', "duplicate_key", "a"),
    _text("key twice, with a colon in text", '"a": 1', '"a": "x:y", "a" : 2', "duplicate_key", "a"),
    # not an object
    BadRecord("number", b"17", "invalid"),
    BadRecord("text", b'"touchpoint"', "invalid"),
    BadRecord("null", b"null", "invalid"),
    BadRecord("true", b"true", "invalid"),
    # too deep, too large
    BadRecord("nested 17 deep", _nested(17), "too_deep", "properties"),
    BadRecord("nested 900 deep", _nested(900), "too_deep", "properties"),
    BadRecord("nested 100,000 deep", _nested(100_000), "too_deep"),
    _fields("300 kB", "too_large", "", properties={"a": "x" * 300_000}),
    _fields("257 properties", "invalid", "properties", properties=_MANY),
    _fields("257 unknown fields", "invalid", "properties", **_MANY),
    _fields("key of 129 characters", "invalid", "properties." + "k" * 129, properties={"k" * 129: 1}),
    _fields("empty key", "invalid", "properties.", properties={"": 1}),
    _fields("name of 129 characters", "invalid", "name", name="n" * 129),
    _fields("empty name", "invalid", "name", name=""),
    _fields(
        "identifier of 257 characters", "invalid", "identifiers.customer_id", identifiers={"customer_id": "c" * 257}
    ),
    _fields("17 identifiers", "invalid", "identifiers", identifiers={f"kind_{n}": "1" for n in range(17)}),
    _fields("page of 2,049 characters", "invalid", "context.page", context={"page": "p" * 2049}),
    _fields("text of 16,385", "invalid", "feedback.text", feedback={"kind": "text", "text": "t" * 16_385}),
    # missing or of the wrong type
    _fields("no channel", "invalid", "channel", channel=...),
    _fields("channel is null", "invalid", "channel", channel=None),
    _fields("name is a number", "invalid", "name", name=17),
    _fields("name is a list", "invalid", "name", name=["menu"]),
    _fields("properties is a list", "invalid", "properties", properties=[1]),
    _fields("properties is null", "invalid", "properties", properties=None),
    _fields("context is text", "invalid", "context", context="web"),
    _fields("unknown field in context", "invalid", "context.shop", context={"shop": "4"}),
    _fields("field and property differ", "invalid", "colour", colour="red", properties={"colour": "blue"}),
    _fields("sequence is text", "invalid", "sequence", sequence="first"),
    _fields("sequence below 0", "invalid", "sequence", sequence=-1),
    _fields("sequence with a fraction", "invalid", "sequence", sequence=1.5),
    _fields("revision beyond 31 bits", "invalid", "revision", revision=2**31),
    _fields("revision of 30 digits", "invalid", "revision", revision=10**29),
    _fields("retracted is maybe", "invalid", "retracted", retracted="maybe"),
    _fields("consent is text", "invalid", "consent", consent="yes"),
    # money and feedback
    _fields("amount is text", "invalid", "value.amount", value={"amount": "much", "currency": "EUR"}),
    _fields("amount with a fraction", "invalid", "value.amount", value={"amount": 12.5, "currency": "EUR"}),
    _fields("amount beyond limit", "invalid", "value.amount", value={"amount": 10**16, "currency": "EUR"}),
    _fields("no currency", "invalid", "value.currency", value={"amount": 1}),
    _fields("currency with line end", "invalid", "value.currency", value={"amount": 1, "currency": "EUR\n"}),
    _fields("unknown kind of feedback", "invalid", "feedback.kind", feedback={"kind": "smiley", "score": 1}),
    _fields("NPS of 11", "invalid", "feedback.score", feedback={"kind": "nps", "score": 11}),
    _fields("CSAT of 6", "invalid", "feedback.score", feedback={"kind": "csat", "score": 6}),
    _fields("stars without score", "invalid", "feedback.score", feedback={"kind": "stars"}),
    _fields("score with a fraction", "invalid", "feedback.score", feedback={"kind": "ces", "score": 3.5}),
    # time
    _fields("in 1900", "out_of_time", "occurred_at", occurred_at="1900-01-01T00:00:00Z"),
    _fields("in 1989", "out_of_time", "occurred_at", occurred_at="1989-12-31T23:59:59Z"),
    _fields("at 0", "out_of_time", "occurred_at", occurred_at=0),
    _fields("in 2199", "out_of_time", "occurred_at", occurred_at="2199-01-01T00:00:00Z"),
    _fields("in 2300", "out_of_time", "occurred_at", occurred_at="2300-01-01T00:00:00Z"),
    _fields("in the year 12026", "invalid", "occurred_at", occurred_at="12026-01-01T00:00:00Z"),
    _fields("without zone", "invalid", "occurred_at", occurred_at="2026-03-01T12:00:00"),
    _fields("date alone", "invalid", "occurred_at", occurred_at="2026-03-01"),
    _fields("30 February", "invalid", "occurred_at", occurred_at="2026-02-30T12:00:00Z"),
    _fields("yesterday", "invalid", "occurred_at", occurred_at="yesterday"),
    _fields("empty time", "invalid", "occurred_at", occurred_at=""),
    _fields("time is an object", "invalid", "occurred_at", occurred_at={"$date": 1}),
    _fields("sent in 1970", "invalid", "sent_at", sent_at="1970-01-01T00:00:00Z"),
    _fields("neither id nor time", "invalid", "occurred_at", event_id=..., occurred_at=...),
    # who
    _fields("no identifiers", "invalid", "identifiers", identifiers=...),
    _fields("empty identifiers", "invalid", "identifiers", identifiers={}),
    _fields("identifiers is a list", "invalid", "identifiers", identifiers=["1"]),
    _fields("identifier is a number", "invalid", "identifiers.customer_id", identifiers={"customer_id": 17}),
    _fields("identifier is empty", "invalid", "identifiers.customer_id", identifiers={"customer_id": ""}),
    _fields("identifier of spaces", "no_identifier", "identifiers", identifiers={"customer_id": " \t "}),
    _fields("phone without digits", "no_identifier", "identifiers", identifiers={"phone": "unknown"}),
    _fields("unknown kind", "unknown_identifier", "identifiers.passport", identifiers={"passport": "X1"}),
    # consent: nowhere kept
    _fields("refused", "no_consent", "consent.analytics", consent={"analytics": False}),
    _fields("refused as text", "no_consent", "consent.analytics", consent={"analytics": "no"}),
    _fields("refused, and wrong", "no_consent", "consent.analytics", consent={"analytics": False}, name=17),
    _fields("refused, 300 kB", "no_consent", "consent.analytics", consent={"analytics": False}, note="x" * 300_000),
    BadRecord("refused, and cut", b'{"consent": {"analytics": false}, "na', "no_consent", "consent.analytics"),
)


@dataclass(frozen=True)
class BadRequest:
    """One request. `rejected` are (index, reason, path); `error` is the code of a request refused as a whole."""

    name: str
    body: bytes
    status: int
    error: str | None = None
    rejected: tuple[tuple[int, str, str], ...] = ()
    accepted: int = 0
    kept: tuple[bytes, ...] = ()  # the records of the dead letters
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)
    key: str | None = KEY


def alone(record: BadRecord) -> BadRequest:
    """The record as the only one of its request."""
    rejected = ((0, record.reason, record.path),)
    return BadRequest(
        record.name, record.raw, 400, None, rejected, kept=(record.raw,) if record.kept else (), headers=LINES
    )


def between_neighbours(record: BadRecord, number: int) -> BadRequest:
    """The record between two good ones, which are accepted; their ids hang on `number`."""
    before, after = as_json(good(2 * number)), as_json(good(2 * number + 1))
    return BadRequest(
        f"{record.name}, between neighbours",
        b"\n".join([before, record.raw, after]),
        200,
        None,
        ((1, record.reason, record.path),),
        accepted=2,
        kept=(record.raw,) if record.kept else (),
        headers=LINES,
    )


def _gzipped(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


_GZIP = JSON | {"Content-Encoding": "gzip"}
_BROKEN_ARRAY = b"[" + as_json(good(1)) + b', {"event_id": }, ' + as_json(good(2)) + b"]"

REQUESTS: tuple[BadRequest, ...] = (
    BadRequest("empty body", b"", 400, "empty"),
    BadRequest("white space", b" \n\t ", 400, "empty"),
    BadRequest("empty array", b"[]", 400, "empty"),
    BadRequest("empty gzip", _gzipped(b""), 400, "empty", headers=_GZIP),
    BadRequest("no key", as_json(good(1)), 401, "unknown_key", key=None),
    BadRequest("wrong key", as_json(good(1)), 401, "unknown_key", key="nobody-s-key"),
    BadRequest("key with strange characters", as_json(good(1)), 401, "unknown_key", key="caf\xe9"),
    BadRequest("form", b"a=1", 415, "unsupported_type", headers={"Content-Type": "application/x-www-form-urlencoded"}),
    BadRequest("XML", b"<a/>", 415, "unsupported_type", headers={"Content-Type": "application/xml"}),
    BadRequest("brotli", b"\x8b", 415, "unsupported_encoding", headers=JSON | {"Content-Encoding": "br"}),
    BadRequest("5,001 items", b"[" + b",".join([b"1"] * 5001) + b"]", 413, "too_many"),
    BadRequest("9 MB", b" " * (9 << 20), 413, "too_large"),
    BadRequest("gzip bomb", _gzipped(b" " * (100 << 20)), 413, "too_large", headers=_GZIP),
    BadRequest("gzip in gzip", _gzipped(_gzipped(as_json(good(1)))), 400, rejected=((0, "malformed_json", ""),),
               kept=(_gzipped(as_json(good(1))),), headers=_GZIP),
    BadRequest("gzip cut", _gzipped(as_json(good(1)))[:-9], 400, "malformed_gzip", headers=_GZIP),
    BadRequest("not gzip", as_json(good(1)), 400, "malformed_gzip", headers=_GZIP),
    BadRequest("gzip and more", _gzipped(as_json(good(1))) + b"more", 400, "malformed_gzip", headers=_GZIP),
    BadRequest("array broken in the middle", _BROKEN_ARRAY, 400, rejected=((0, "malformed_json", ""),), kept=(_BROKEN_ARRAY,)),
    BadRequest("array not closed", b"[" + as_json(good(1)), 400, rejected=((0, "malformed_json", ""),),
               kept=(b"[" + as_json(good(1)),)),
    BadRequest("array of arrays", as_json([[good(1)], [good(2)]]), 400, rejected=((0, "invalid", ""), (1, "invalid", "")),
               kept=(as_json([good(1)]), as_json([good(2)]))),
    BadRequest("array with a number", b"[" + as_json(good(1)) + b", 17]", 200, rejected=((1, "invalid", ""),), accepted=1,
               kept=(b"17",)),
    BadRequest("array of 100,000 brackets", b"[" * 100_000, 400, rejected=((0, "too_deep", ""),), kept=(b"[" * 100_000,)),
    BadRequest("lines, one broken", as_json(good(1)) + b"\n{\n" + as_json(good(2)), 200, rejected=((1, "malformed_json", ""),),
               accepted=2, kept=(b"{",), headers=LINES),
    BadRequest("lines sent as JSON, one broken", as_json(good(1)) + b"\n{\n" + as_json(good(2)), 200,
               rejected=((1, "malformed_json", ""),), accepted=2, kept=(b"{",)),
)  # fmt: skip
