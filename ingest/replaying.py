"""A dead letter → the record of the `touchpoints` topic that it should have become, or why not. Pure.

The question is asked again as of the time when the touchpoint came in: a time that is missing, a wrong clock and the id of a
touchpoint without one are answered as they would have been then. So a replay that runs twice, or beside a resend of the
source, gives the same event id, and one touchpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple

import msgspec

from ingest.accept import Accepted, accept, accept_request
from ingest.channels.files import Row
from ingest.erased import NOTHING, Erased
from ingest.importing import StoredTouchpoints
from ingest.read import Record, read
from ingest.rejected import Rejected
from ingest.source import Source
from schemas.codec import decode_stored
from schemas.dead_letter import MAX_KEPT_BYTES, DeadLetter
from schemas.identity import DEFAULT_KINDS, Kinds, address
from schemas.topics import TOUCHPOINTS

SourceNamed = Callable[[str], Source]
_ROW_OF_A_FILE = "it is a row of a file: correct the file or its map, and import it again"


class NotReplayable(NamedTuple):
    """No fix of desireline or its settings makes a touchpoint of this letter; `why` says who can do what instead."""

    why: str


def again(
    letter: DeadLetter, source: SourceNamed, kinds: Kinds = DEFAULT_KINDS, erased: Erased = NOTHING
) -> Accepted | Rejected | NotReplayable:
    """What becomes of the letter now. `source` gives the source of a name, with its zone if it has one.

    A row that an import read through a map is told by its not being a touchpoint; the map itself is not kept.
    """
    if letter.bytes > MAX_KEPT_BYTES:
        kept = f"only the first {MAX_KEPT_BYTES // 1024} kB of its {letter.bytes:,} bytes were kept"
        return NotReplayable(f"{kept}: let {letter.source} send it again, smaller")
    raw = letter.record.encode("utf-8", "surrogatepass")
    if sha256(raw).hexdigest() != letter.sha256:
        return NotReplayable(
            f"it was not UTF-8, and what is kept is a transcript: let {letter.source} send it again as UTF-8"
        )
    if letter.reason == "conflicting":
        return NotReplayable(
            "an earlier touchpoint with its id and revision stands: send the correction with a higher revision"
        )
    if letter.leg == "collector":
        (answer,) = accept_request([raw], source(letter.source), letter.at, kinds, erased)
        return answer
    if letter.leg == "import":
        return _imported(letter, raw, source, kinds, erased)
    topic = letter.address.partition("/")[0]
    if topic == TOUCHPOINTS.name:
        return _stored(raw, kinds, erased)
    return NotReplayable(f"it is no touchpoint but a record of the topic {topic}, which only desireline writes")


def _imported(
    letter: DeadLetter, raw: bytes, source: SourceNamed, kinds: Kinds, erased: Erased
) -> Accepted | Rejected | NotReplayable:
    """A line of a file, by the same signs as `ingest.importing.reader` tells the kinds of files apart."""
    if letter.reason == "unmappable":
        return NotReplayable(_ROW_OF_A_FILE)
    found = read(raw)
    if isinstance(found, Rejected) and found.reason == letter.reason:
        return found
    if not isinstance(found, Record) or not isinstance(found.content, dict):
        return NotReplayable(_ROW_OF_A_FILE)
    if "content" in found.content:
        return StoredTouchpoints(kinds, erased).row(Row(0, raw), letter.at)
    return accept(raw, source(letter.source), letter.at, kinds=kinds, erased=erased)


def _stored(raw: bytes, kinds: Kinds, erased: Erased) -> Accepted | Rejected:
    """A record of the topic `touchpoints`, byte for byte. Its address is checked: elsewhere nobody would look for it."""
    try:
        stored = decode_stored.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Rejected("undecodable", "", f"not a record of the topic {TOUCHPOINTS.name}: {error}")
    if not stored.address or stored.address != address(stored.identifiers, stored.event_id, stored.revision, kinds):
        return Rejected("no_identifier", "address", "does not follow from its identifiers as they are configured")
    gone = erased.refuses(str(stored.event_id), stored.identifiers, stored.occurred_at, kinds)
    return gone or Accepted(stored.address.encode(), raw)
