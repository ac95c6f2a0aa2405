"""Does it have the form of a touchpoint? The generated struct answers in 1 µs for what is plainly right; for everything
else the pydantic model decides, and says what is wrong and where."""

from __future__ import annotations

from typing import Any

import msgspec
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from ingest.rejected import Rejected
from schemas.codec import TouchpointStruct
from schemas.touchpoint import EARLIEST, LATEST, Touchpoint

FIELDS = frozenset(Touchpoint.model_fields)

_boolean: TypeAdapter[bool] = TypeAdapter(bool)

# Where a rule across fields is broken, the field to look at.
_FIELD_OF_RULE: dict[tuple[str | int, ...], str] = {(): "occurred_at", ("feedback",): "feedback.score"}
# What pydantic's message leaves open.
_HOW_TO_FIX = {
    "missing": "add it",
    "extra_forbidden": "only `properties` takes what the contract does not name: put it there",
    "timezone_aware": "write the zone, for example 2026-03-01T12:00:00Z, or declare the source's zone",
    "string_type": "write it in quotes",
    "string_too_long": "shorten it",
    "string_too_short": "leave it out if it is not known",
    "dict_type": "write an object {…}",
    "too_long": "send fewer",
    "too_short": "send at least one",
}
_SHOWN = 60  # characters of the wrong value that the message repeats


def validated(fields: Any) -> Any | Rejected:
    """A `TouchpointStruct` for fields that a touchpoint has, all of them known (`FIELDS`)."""
    try:
        touchpoint = msgspec.convert(fields, TouchpointStruct)
        if not _needs_the_model(touchpoint):
            return touchpoint
    except msgspec.ValidationError:
        pass  # wrong, or right in another form, such as "5" for 5: the model knows
    try:
        model = Touchpoint.model_validate(fields)
    except ValidationError as error:
        return _rejected(error.errors(include_url=False, include_context=False)[0])
    return msgspec.convert(model.model_dump(exclude_unset=True), TouchpointStruct)


def refuses_analytics(consent: Any) -> bool:
    """Does this consent refuse analytics, in any form that the model takes for false?"""
    if not isinstance(consent, dict) or consent.get("analytics") is None:
        return False
    try:
        return not _boolean.validate_python(consent["analytics"])
    except ValidationError:
        return False


def _needs_the_model(touchpoint: Any) -> bool:
    """Are there rules that the struct does not check: across fields, and limits of times?"""
    occurred_at, sent_at = touchpoint.occurred_at, touchpoint.sent_at
    return (
        touchpoint.feedback is not None
        or (touchpoint.event_id is None and occurred_at is None)
        or not (occurred_at is None or EARLIEST <= occurred_at <= LATEST)
        or not (sent_at is None or EARLIEST <= sent_at <= LATEST)
    )


def _rejected(error: ErrorDetails) -> Rejected:
    place = tuple(part for part in error["loc"] if part != "[key]")
    path = _FIELD_OF_RULE[place] if error["type"] == "value_error" else ".".join(map(str, place))
    if path == "occurred_at" and error["type"] in ("greater_than_equal", "less_than_equal"):
        return Rejected("out_of_time", path, "before 1990 or after 2200: check the clock or the unit of the time")
    fix = _HOW_TO_FIX.get(error["type"])
    shown = "" if error["type"] in ("missing", "value_error") else f" (it is {_short(error['input'])})"
    return Rejected("invalid", path, f"{error['msg'].removeprefix('Value error, ')}{shown}{f': {fix}' if fix else ''}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
