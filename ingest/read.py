"""Bytes → JSON, strictly: RFC 8259, UTF-8, no key twice in one object. What cannot be read is `Rejected`."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

import msgspec

from ingest.rejected import Rejected
from schemas.codec import encode
from schemas.dead_letter import Reason

_decode = msgspec.json.Decoder().decode
_REFUSAL = re.compile(rb'"analytics"\s*:\s*"?(?:false|0|no|off)\b', re.IGNORECASE)


class Record(NamedTuple):
    """JSON that could be read; `size` in bytes; it is nested `depth` deep at most (an estimate, never too low)."""

    content: Any
    size: int
    depth: int


def read(raw: bytes) -> Record | Rejected:
    """Parse one record."""
    try:
        content = _decode(raw)
        if _may_repeat_a_key(raw, content) and (key := _repeated_key(raw)) is not None:
            return _unreadable(raw, "duplicate_key", key, f"the key {key!r} is twice in one object: send it once")
    except RecursionError:
        return _unreadable(raw, "too_deep", "", "nested deeper than any touchpoint: flatten it or send it as text")
    except msgspec.ValidationError as error:
        return _unreadable(raw, "invalid", "", f"{error}: send a number that long as text")
    except UnicodeDecodeError as error:
        return _unreadable(raw, "malformed_json", "", f"not UTF-8 ({error.reason}): encode the text as UTF-8")
    except msgspec.DecodeError as error:
        return _unreadable(raw, "malformed_json", "", f"{error}: send JSON as RFC 8259 defines it")
    return record(content, raw)


def record(content: Any, raw: bytes) -> Record:
    """The record of a content that is known beside its bytes."""
    return Record(content, len(raw), raw.count(b"{") + raw.count(b"["))


def depth(content: Any) -> int:
    """How deep objects and arrays are nested; 0 for a plain value."""
    deepest, level = 0, [content]
    while level := [value for value in level if isinstance(value, dict | list)]:
        deepest += 1
        level = [inner for value in level for inner in (value.values() if isinstance(value, dict) else value)]
    return deepest


def _unreadable(raw: bytes, reason: Reason, path: str, message: str) -> Rejected:
    """Where a record cannot be understood, what looks like a refusal of consent counts as one."""
    if _REFUSAL.search(raw):
        return Rejected("no_consent", "consent.analytics", f"{message}; what refuses consent is not kept")
    return Rejected(reason, path, message)


def _may_repeat_a_key(raw: bytes, content: Any) -> bool:
    """Written out again, has it fewer colons? Every key brings one; those in texts stay, unless they were escaped."""
    return raw.count(b":") != encode(content).count(b":") or b"\\u003" in raw


def _repeated_key(raw: bytes) -> str | None:
    """The first key that is twice in one object; exact, and ten times slower than the check above."""
    repeated: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                repeated.append(key)
            seen.add(key)

    json.loads(raw.decode(), object_pairs_hook=note, parse_int=str, parse_float=str)
    return repeated[0] if repeated else None
