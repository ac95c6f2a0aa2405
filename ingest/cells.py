"""Single cells of a file → values. Pure; what cannot be read raises `Unmappable`, which `mapping` turns into a value."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import translate
from hashlib import blake2b
from math import isfinite
from typing import Any

from ingest.map import ISO, MILLISECONDS, SECONDS

Row = Sequence[Any] | Mapping[str, Any]
Get = Callable[[Any], Any]  # row → value; None if there is none
MAX_REMEMBERED = 10_000
MAX_JOINED = 256  # characters of an identifier


class Unmappable(ValueError):
    """A cell that cannot be read: says which, what it is, and what to do."""


def time(value: Any, form: str) -> datetime:
    if form == ISO:
        return datetime.fromisoformat(value)
    if form in (SECONDS, MILLISECONDS):
        return datetime.fromtimestamp(float(value) / (1 if form == SECONDS else 1000), UTC)
    return datetime.strptime(value, form)  # noqa: DTZ007 - the zone is the caller's


def inside(row: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        if not isinstance(row, dict):
            return None
        row = row.get(key)
    return row


def any_of(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)))


def lookup(column: Get, name: str, table: Mapping[str, str]) -> Get:
    """The value of the first pattern that fits; remembered, for columns repeat themselves."""
    patterns = [(any_of([pattern]), value) for pattern, value in table.items()]
    known: dict[str, str] = {}

    def get(row: Row) -> str:
        text = str(column(row) or "")
        found = known.get(text)
        if found is None:
            found = next((value for pattern, value in patterns if pattern.match(text)), None)
            if found is None:
                raise Unmappable(f'{name} is {text!r}, which no pattern fits: add it, or "*" for all others')
            if len(known) < MAX_REMEMBERED:
                known[text] = found
        return found

    return get


def whole(column: Get, name: str) -> Get:
    def get(row: Row) -> int | None:
        value = column(row)
        try:
            return None if value is None else int(value)
        except (ValueError, TypeError) as error:
            raise Unmappable(f"{name} is {value!r}, not a whole number") from error

    return get


def number(value: Any, name: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return int(value)
    except ValueError:
        pass
    try:
        found = float(value)
    except ValueError as error:
        raise Unmappable(f"{name} is {value!r}, not a number") from error
    if not isfinite(found):
        raise Unmappable(f"{name} is {value!r}, not a finite number")
    return found


def boolean(value: Any, name: str) -> Any:
    if not isinstance(value, str):
        return value
    found = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(value.lower())
    if found is None:
        raise Unmappable(f"{name} is {value!r}, not true or false")
    return found


def joined(parts: Sequence[str]) -> str:
    """Texts as one, so that other parts never give the same; short enough for an identifier."""
    text = "|".join(parts)
    if "\\" in text or text.count("|") >= len(parts):
        text = "|".join(part.replace("\\", "\\\\").replace("|", "\\|") for part in parts)
    return text if len(text) <= MAX_JOINED else hashed(text)


def hashed(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
