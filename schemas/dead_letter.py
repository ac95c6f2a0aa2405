"""What could not be accepted: kept whole, with the reason, the place in it, and the address it came from."""

from __future__ import annotations

from hashlib import sha256
from typing import Literal

import msgspec

MAX_KEPT_BYTES = 64 * 1024

Reason = Literal[
    "malformed_json",
    "duplicate_key",
    "invalid",
    "too_deep",
    "too_large",
    "out_of_time",
    "no_identifier",
    "unknown_identifier",
    "conflicting",
    "undecodable",
    "unmappable",
    "unwritable",
    "undeliverable",
]

Leg = Literal["collector", "import", "identity", "stitch", "sink", "alerts"]

REASONS: dict[Reason, str] = {
    "malformed_json": "it is not JSON, or not UTF-8",
    "duplicate_key": "the same key stands twice in one object",
    "invalid": "a field is missing, of the wrong type, too large or out of range: see the path",
    "too_deep": "it is nested deeper than the limit",
    "too_large": "the touchpoint is larger than the limit",
    "out_of_time": "it occurred before 1990 or more than a day ahead",
    "no_identifier": "no identifier is left after normalisation",
    "unknown_identifier": "an identifier is of a kind that is not configured",
    "conflicting": "an earlier touchpoint has the same id and revision and other content; that one stands",
    "undecodable": "a record in a topic is not what the topic holds",
    "unmappable": "a row of a file cannot be read by its map",
    "unwritable": "ClickHouse refuses the row",
    "undeliverable": "a webhook did not take the alert, however often it was tried",
}


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One record of the `dead_letters` topic and, field for field, one row of the table."""

    source: str
    leg: Leg
    reason: Reason
    path: str  # place in the record, for example `feedback.score`; "" for the whole
    message: str  # what is wrong and how to fix it, for people
    address: str  # topic/partition/offset, file:line, or request/index
    at: int  # ms UTC, when it was refused
    record: str  # the record; not UTF-8 is written as \\xNN; cut at 64 kB
    bytes: int  # its size
    sha256: str  # of the whole record


def dead_letter(
    raw: bytes,
    *,
    source: str,
    leg: Leg,
    reason: Reason,
    message: str,
    address: str,
    at: int,
    path: str = "",
) -> DeadLetter:
    """Keep `raw` whole up to 64 kB, with its size and hash. `at` in ms UTC."""
    return DeadLetter(
        source=source,
        leg=leg,
        reason=reason,
        path=path,
        message=message,
        address=address,
        at=at,
        record=raw[:MAX_KEPT_BYTES].decode("utf-8", "backslashreplace").replace("\x00", "\\x00"),
        bytes=len(raw),
        sha256=sha256(raw).hexdigest(),
    )
