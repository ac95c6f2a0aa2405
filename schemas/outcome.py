"""What happened to a journey at one moment: the `outcomes` topic and table."""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

import msgspec

OutcomeKind = Literal["dropped_off", "recovered", "completed"]


class Outcome(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Absolute and versioned: a higher `version` replaces; a late touchpoint that proves it wrong sets `retracted`.

    Channel and touchpoint are those of the journey's last touchpoint at that moment: of a drop-off the one before the silence,
    of a recovery or a completion the one that is it.
    """

    outcome_id: str  # 32 hex digits
    journey_id: str  # 32 hex digits
    person_id: str  # 32 hex digits
    definition: str
    kind: OutcomeKind
    at: int  # ms UTC: the deadline of a drop-off, the touchpoint of a recovery or a completion
    stage: int  # rank; of a recovery the one at which the journey had dropped off
    channel: str
    touchpoint: str
    # In tables, never in alerts: its touchpoint arrived when silence after it would have been a drop-off already. A
    # retraction is for who has acted on the outcome; it says this only of a drop-off that had not ended.
    historical: bool
    retracted: bool
    version: int


def outcome_id(journey: bytes, kind: OutcomeKind, at: int) -> bytes:
    """128-bit hash of journey, kind and its own time."""
    return blake2b(journey + at.to_bytes(8, "big") + kind.encode(), digest_size=16, person=b"outcome").digest()
