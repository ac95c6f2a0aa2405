"""What the `people` topic says: which touchpoint is whose, as a fold record; and how far the identity leg has read.

The fold record is what a journey needs of a touchpoint and nothing else; the full touchpoint goes to ClickHouse once.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from schemas.touchpoint import MAX_MINOR_UNITS

# 32 hex digits. Who makes bytes of them finds what is not hex; a pattern here would cost more than all else of decoding.
Id = Annotated[str, msgspec.Meta(min_length=32, max_length=32)]
Whole = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Rule = Annotated[int, msgspec.Meta(ge=0, le=255)]


class FoldRecord(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What a journey needs of a touchpoint."""

    at: Annotated[int, msgspec.Meta(ge=1, le=2**53)]  # occurred_at, ms UTC
    channel: str
    name: str
    rules: list[Rule]  # per definition of the generation, in its order: see schemas/definition.py
    sequence: Annotated[int, msgspec.Meta(ge=-1, le=2**31 - 2)] = -1
    amount: Annotated[int, msgspec.Meta(ge=-MAX_MINOR_UNITS, le=MAX_MINOR_UNITS)] = 0  # minor units
    currency: str = ""
    feedback: str = ""  # kind of feedback, "" for none
    score: Annotated[int, msgspec.Meta(ge=-1, le=10)] = -1
    sentiment: str = ""


class Assigned(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="said", tag="assigned"):
    """This touchpoint is this person's since (revision, move); without a record: no longer, or retracted.

    Per person and event the highest (revision, move) counts, whatever the order of arrival.
    """

    person_id: Id
    event_id: Id
    revision: Whole
    move: Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]
    arrived: int  # append time of what made it so, ms UTC
    record: FoldRecord | None = None
    cause: str = ""  # why it moved: named, merge, split, correction, erasure; "" for the first owner


class ReadTo(msgspec.Struct, frozen=True, gc=False, tag_field="said", tag="read_to"):
    """Partition `partition` of the identity leg has read its log up to `at` (ms): nothing older will come from it."""

    partition: int
    at: int


PersonMessage = Assigned | ReadTo


class Identity(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Row of the `identities` topic: whose an identifier is. A strong one is its person's; a weak one belongs to who was
    named on it last. Absolute; the highest version counts."""

    identifier: str  # kind:value
    person_id: str  # 32 hex digits
    own_id: str  # the id of the person that it would be by itself; where it is another, that one went into `person_id`
    at: int  # ms UTC, when this was learnt
    version: int
    shared: bool = False  # it has too many partners or is blocked: it links and names nobody
