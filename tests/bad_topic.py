"""Records that somebody else wrote straight into the `touchpoints` topic, as data: each must become a dead letter, alone."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from schemas.codec import decode_stored

CONTENT = "c" * 32


class Foreign(NamedTuple):
    """One record value; None is a tombstone."""

    name: str
    value: bytes | None


def stored(number: int, **changes: Any) -> bytes:
    """A stored touchpoint of a customer of its own; a field that is changed to `...` is left out."""
    content = {
        "event_id": f"00000000-0000-5000-8000-{number:012x}",
        "source": "foreign",
        "address": f"customer_id:foreign-{number}",
        "identifiers": {"customer_id": f"foreign-{number}"},
        "channel": "web",
        "name": "menu_viewed",
        "occurred_at": 1_772_366_400_000 + number,
        "received_at": 1_772_366_400_000,
        "content": CONTENT,
    }
    return json.dumps({name: value for name, value in (content | changes).items() if value is not ...}).encode()


def good(number: int) -> bytes:
    """What the topic is for."""
    value = stored(number)
    decode_stored.decode(value)
    return value


def _changed(name: str, /, **changes: Any) -> Foreign:
    return Foreign(name, stored(900_000, **changes))


def _text(name: str, old: bytes, new: bytes) -> Foreign:
    value = stored(900_000, properties={"a": 1})
    assert old in value
    return Foreign(name, value.replace(old, new))


RECORDS = (
    Foreign("tombstone", None),
    Foreign("empty value", b""),
    Foreign("white space", b" \n "),
    Foreign("plain text", b"hello"),
    Foreign("open brace", b"{"),
    Foreign("line end", b"\n"),
    Foreign("number", b"17"),
    Foreign("null", b"null"),
    Foreign("text", b'"touchpoint"'),
    Foreign("array", b"[1, 2]"),
    Foreign("empty object", b"{}"),
    Foreign("binary", bytes(range(256))),
    Foreign("cut in the middle", stored(900_000)[:80]),
    Foreign("two records in one", stored(900_001) + b"\n" + stored(900_002)),
    Foreign("empty value after two in one", b""),  # together they are as many lines as records
    Foreign("1 MB of brackets", b"[" * 900_000),
    Foreign("byte order mark", b"\xef\xbb\xbf" + stored(900_000)),
    _text("NaN", b'"a": 1', b'"a": NaN'),
    _text("time of 5,000 digits", b"1772367", b"9" * 5_000),
    _text("invalid UTF-8 in a name", b"menu", b"men\xff"),
    _text("invalid UTF-8 in properties", b'"a": 1', b'"a": "\xc3\x28"'),
    _text("lone surrogate", b"menu", b"\\ud800"),
    _text("nested 100,000 deep", b'"a": 1', b'"a": ' + b"[" * 100_000 + b"]" * 100_000),
    _text("trailing comma", b'"a": 1', b'"a": 1,'),
    _changed("no event_id", event_id=...),
    _changed("event_id is no UUID", event_id="one"),
    _changed("event_id is a number", event_id=1),
    _changed("no source", source=...),
    _changed("no identifiers", identifiers=...),
    _changed("identifiers is a list", identifiers=["a"]),
    _changed("empty identifiers", identifiers={}),
    _changed("identifier is a number", identifiers={"customer_id": 1}),
    _changed("identifier of 5,000 characters", identifiers={"customer_id": "c" * 5_000}),
    _changed("unknown kinds of identifier", identifiers={"passport": "X1"}),
    _changed("no channel", channel=...),
    _changed("channel is a number", channel=1),
    _changed("empty channel", channel=""),
    _changed("name is null", name=None),
    _changed("empty name", name=""),
    _changed("name of 100,000 characters", name="n" * 100_000),
    _changed("no time", occurred_at=...),
    _changed("time is text", occurred_at="2026-03-01T12:00:00Z"),
    _changed("time is 0", occurred_at=0),
    _changed("time before 1970", occurred_at=-1),
    _changed("time of 30 digits", occurred_at=10**29),
    _changed("time after 2300", occurred_at=2**53),
    _changed("time with a fraction", occurred_at=1.5),
    _changed("no content", content=...),
    _changed("content is no hash", content="x"),
    _changed("sequence below 0", sequence=-1),
    _changed("sequence beyond 31 bits", sequence=2**31),
    _changed("revision beyond 31 bits", revision=2**31),
    _changed("revision below 0", revision=-1),
    _changed("retracted is text", retracted="yes"),
    _changed("amount is text", value={"amount": "1", "currency": "EUR"}),
    _changed("amount beyond limit", value={"amount": 10**16, "currency": "EUR"}),
    _changed("amount without currency", value={"amount": 1}),
    _changed("currency is a number", value={"amount": 1, "currency": 5}),
    _changed("empty currency", value={"amount": 1, "currency": ""}),
    _changed("value is a list", value=[1]),
    _changed("feedback is text", feedback="good"),
    _changed("score of 11", feedback={"kind": "nps", "score": 11}),
    _changed("properties is a list", properties=[1]),
    Foreign("known id with other content", stored(0, content="d" * 32)),
)
