"""The completeness ledger: what became of everything that was sent.

    sent = stored + superseded + late + duplicate + rejected + erased + missing

per source and hour of arrival, disjoint. An event is `stored` once, in the hour in which the first of its revisions came;
every further revision, older or newer, is `superseded`: of the two one stands. Each leg writes absolute counts of what it
decides; a view adds them up.
"""

from __future__ import annotations

from typing import Literal

import msgspec

HOUR = 3_600_000
Decision = Literal["stored", "superseded", "duplicate", "rejected", "late", "erased"]


class Counted(msgspec.Struct, frozen=True, gc=False):
    """Record of the `ledger` topic: it replaces the earlier ones of its leg, generation, partition, source and hour."""

    leg: str
    generation: int
    partition: int
    source: str
    hour: int  # ms UTC, when it begins
    counts: dict[Decision, int]
