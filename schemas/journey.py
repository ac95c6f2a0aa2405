"""The journey as a row: what the `journeys` topic holds and, field for field, the columns of the ClickHouse table.

One JSON object per journey, absolute: it replaces every row of the same `journey_id` with a lower `version`. A journey that
ceased to exist is written once more with `is_deleted` = 1 and its old `definition` and `started_at`, which are its key.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

import msgspec

Status = Literal["open", "completed", "dropped_off", "recovered"]
MAX_PATH = 2_000  # steps that a row carries; `touchpoints` counts them all
_hashing = blake2b(digest_size=16, person=b"journey").copy  # half the time of a new one


class Journey(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Times in ms UTC, 0 for none; stages as ranks from 1, 0 for none; arrays of a path have one entry per step."""

    journey_id: str  # 32 hex digits
    person_id: str  # 32 hex digits
    definition: str
    definition_version: int
    started_at: int
    last_at: int
    status: Status  # as of the watermark when it was written; views bring it up to now with due_at
    stage: int  # of the last touchpoint that has one
    furthest_stage: int
    stages: int  # bit s is set: stage s was entered
    completed_at: int
    due_at: int  # when silence becomes a drop-off
    touchpoints: int
    entry_channel: str
    value: dict[str, int]  # currency → minor units
    peak_end: float | None  # -1 … +1
    # silences longer than the patience that ended with a return, and the present one once it is overdue
    drop_off_at: list[int]
    drop_off_stage: list[int]
    drop_off_step: list[int]  # index of the last touchpoint before the silence, from 0
    recovered_at: list[int]  # 0: not yet
    feedback_kind: list[str]
    feedback_score: list[int]
    feedback_step: list[int]
    path_time: list[int]
    path_channel: list[str]
    path_touchpoint: list[str]
    path_stage: list[int]
    arrived_at: int  # append time of the newest touchpoint that this row answers to
    version: int
    is_deleted: int = 0


def journey_id(person: bytes, definition: str, first_event: bytes, started_at: int) -> bytes:
    """128-bit hash of person, definition, and the first touchpoint's id and time: it fixes the row's sort key."""
    material = person + first_event + started_at.to_bytes(8, "big") + definition.encode()
    hashing = _hashing()
    hashing.update(material)
    return hashing.digest()
