"""What came of a person after their journeys had left the state: it is stored, but in no journey until a replay."""

from __future__ import annotations

import msgspec

from schemas.person import Assigned


class Late(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Record of the `late` topic: a statement about a touchpoint that came too late for the person's journeys, all of which had
    ended before `closed_at`. Per person and event the highest (revision, move) counts."""

    person_id: str  # 32 hex digits
    event_id: str
    revision: int
    move: int
    arrived: int  # append time of what made it so, ms UTC
    closed_at: int  # ms UTC
    at: int = 0  # when it occurred, up to closed_at, ms UTC; 0: it is not the person's any more
    cause: str = ""  # why it moved, as in Assigned


def late(said: Assigned, closed_at: int) -> Late:
    """The statement as one that came too late."""
    return Late(
        said.person_id,
        said.event_id,
        said.revision,
        said.move,
        said.arrived,
        closed_at,
        0 if said.record is None else said.record.at,
        said.cause,
    )
