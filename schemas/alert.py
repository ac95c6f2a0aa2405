"""An alert: something that customers usually do at this hour, and fewer of them do now. The `alerts` topic and table.

Absolute and versioned: a row replaces those of the same `alert_id` with a lower `version`.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

import msgspec

AlertChange = Literal["opened", "widened", "resolved"]
Measure = Literal["progress", "drop_off"]


class Affected(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A customer of the alert, and what they did just before, oldest first."""

    person_id: str  # 32 hex digits
    journey_id: str  # 32 hex digits
    at: int  # last touchpoint, ms UTC
    did: list[str]  # channel·touchpoint


class Alert(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Times in ms UTC, 0 for none. The figures are those of the series that it is named by.

    `progress`: of the stays that began, the share that reached a later stage within the usual time. `drop_off`: of the stays
    that ended, the share that fell silent. `expected` and `observed` are that share; both are worse than usual.
    """

    alert_id: str  # 32 hex digits
    change: AlertChange  # why it is said (again); open until it is resolved
    journey: str
    stage: int
    channel: str
    measure: Measure
    since: int  # the customers counted began (or were last heard of) from then on
    opened_at: int
    resolved_at: int
    settled: bool  # resolved because it lasted so long that it is the new usual
    stays: int  # counted since then
    expected: float
    observed: float
    lost: float  # customers fewer than usual
    also: list[str]  # journey·stage·channel·measure of what else fails with it
    stage_name: str = ""
    customers: list[Affected] = []
    link: str = ""
    version: int


def alert_id(journey: str, stage: int, channel: str, measure: Measure, opened_at: int) -> str:
    """128-bit hash of what it is named by and when it opened, so that whoever counts the same finds the same alert."""
    material = "\0".join((journey, str(stage), channel, measure, str(opened_at)))
    return blake2b(material.encode(), digest_size=16, person=b"alert").hexdigest()
