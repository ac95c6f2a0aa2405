"""Why something differs. A cause that is known explains the difference; everything else stays `unexplained`. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sinks.verify.compare import TWO_HOMES, UNEXPLAINED, Difference
from sinks.verify.figures import ROLLUPS
from sinks.verify.late import RESTATED

CHANGED = "not yet written: changed since the cut"
OTHER_WORD = "more words than a partition's vocabulary holds: `other`"
TOO_MANY = UNEXPLAINED + ": its person has more than max_touchpoints, so should have no journeys"
NOT_CONFIGURED = UNEXPLAINED + ": of a journey definition that is not configured"
FOLLOWS = "counts the journeys that differ"
Count = tuple[str, str, str]  # table, key and column of a figure
OTHER = "other"  # what the legs say for words beyond their vocabulary


@dataclass(frozen=True)
class Evidence:
    """What is known besides the differences. People as 32 hex digits."""

    changed: Collection[str] = ()  # people of whom something arrived after the cut
    two_homes: Collection[str] = ()  # events that came at revision 0 with different addresses
    above: Collection[str] = ()  # people with too many touchpoints
    # Person → up to when closed journeys rest on what has changed.
    restated: Mapping[str, int] = field(default_factory=dict)
    definitions: Collection[str] = ()  # the configured ones
    miscounted: Collection[Count] | None = None  # figures that do not count the live journeys; None: not known


def explained(difference: Difference) -> bool:
    """Is there a cause that makes it right?"""
    return not difference.cause.startswith(UNEXPLAINED)


def explain(differences: Iterable[Difference], evidence: Evidence) -> list[Difference]:
    """The differences with their causes. A figure that rightly counts journeys which differ is explained by them."""
    found = list(differences)
    torn = {p for one in found if _is_torn(one, evidence) for p in one.people}
    return [replace(one, cause=_cause(one, evidence, torn)) for one in found]


def _cause(one: Difference, evidence: Evidence, torn: Collection[str]) -> str:
    if one.table in ROLLUPS:
        follows = evidence.miscounted is not None and (one.table, one.key, one.column) not in evidence.miscounted
        return FOLLOWS if follows else UNEXPLAINED
    if _is_torn(one, evidence):
        return TWO_HOMES
    if any(person in evidence.changed for person in one.people):
        return CHANGED
    if any(person in torn for person in one.people):
        return TWO_HOMES
    if one.table in ("journeys", "outcomes") and any(one.at <= evidence.restated.get(p, -1) for p in one.people):
        return RESTATED
    if one.what == "differs" and _is_other(one.live, one.expected):
        return OTHER_WORD
    if one.table == "journeys" and one.what == "extra":
        if one.live["definition"] not in evidence.definitions:
            return NOT_CONFIGURED
        if any(person in evidence.above for person in one.people):
            return TOO_MANY
    return UNEXPLAINED


def _is_torn(one: Difference, evidence: Evidence) -> bool:
    return one.cause == TWO_HOMES or (one.table == "person_touchpoints" and one.key in evidence.two_homes)


def _is_other(live: Any, expected: Any) -> bool:
    if isinstance(live, list) and isinstance(expected, list) and len(live) == len(expected):
        return all(said in (must, OTHER) for said, must in zip(live, expected, strict=True))
    return bool(live == OTHER)
