"""The clock rules of the contract (DESIGN §3). Pure: what time it is comes in. Times in ms UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from ingest.rejected import Rejected
from schemas.touchpoint import EARLIEST, Moment

MAX_SKEW = 5 * 60_000
MAX_AHEAD = 24 * 3_600_000

Clock = Literal["as_sent", "corrected", "clamped", "received"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_moment: TypeAdapter[datetime] = TypeAdapter(Moment)


def milliseconds(moment: datetime) -> int:
    """ms since 1970 UTC of a time with zone, rounded down."""
    return (moment - _EPOCH) // _MILLISECOND


_EARLIEST = milliseconds(EARLIEST)


def in_zone(value: Any, zone: ZoneInfo | None) -> Any:
    """A time without zone, read in `zone`; of an hour that clocks repeat, the first. Anything else unchanged."""
    if zone is None or not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return value
    return value if moment.tzinfo is not None else moment.replace(tzinfo=zone)


def moment(content: Any, field: str, zone: ZoneInfo | None) -> int | None:
    """A time that a touchpoint, as it was read, says; None if it says none, in a form that the model takes."""
    said = content.get(field) if isinstance(content, dict) else None
    if said is None:
        return None
    try:
        return milliseconds(_moment.validate_python(in_zone(said, zone)))
    except ValidationError:
        return None


def skew(sent: int | None, received: int) -> int:
    """What is to be added to a client's times: nothing up to five minutes, for that may be transit."""
    return 0 if sent is None or abs(received - sent) <= MAX_SKEW else received - sent


def occurred(said: int | None, received: int, correction: int) -> tuple[int, Clock] | Rejected:
    """When it happened, and how we know."""
    if said is None:
        return received, "received"
    moment = said + correction
    if moment < _EARLIEST:
        return Rejected("out_of_time", "occurred_at", "before 1990: check the clock or the unit of the time")
    if moment > received + MAX_AHEAD:
        return Rejected(
            "out_of_time", "occurred_at", "more than 24 hours ahead: check the clock and send sent_at with it"
        )
    if moment > received:
        return received, "clamped"
    return moment, "corrected" if correction else "as_sent"
