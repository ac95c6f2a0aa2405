"""Whose is each touchpoint, one device at a time: what `schemas.resolve` defines, in memory for names and one device. Pure.

What it takes comes sorted by device. A touchpoint is seen by its home; one that carries a name also by every further weak
identifier on it. `tests/unit/test_verify_batch.py` compares it with the definition.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from schemas.identity import Kinds
from schemas.resolve import Order, people
from sinks.verify.erased import Erased

NOTHING = Erased()


class Seen(NamedTuple):
    """A live touchpoint as one of its devices sees it; `device` is its home, or a further weak identifier."""

    device: str
    at_home: bool
    event: bytes
    at: int  # ms UTC
    sequence: int  # -1: none
    names: Sequence[str]  # its strong identifiers, the most trusted first
    shared: bool  # its source's devices are used by many
    carried: bytes = b""  # goes with the touchpoint to its owner


class Home(NamedTuple):
    """One device, or a name that is the home of touchpoints without one: whose its touchpoints are, each once."""

    device: str
    person: str | None  # of the identifier, by its latest sighting; None: it is a name, or nobody was ever seen on it
    owned: list[tuple[Seen, str]]  # touchpoint at home here, identifier that names its person


class Names(NamedTuple):
    """Person of every strong identifier that names one; and all strong identifiers, also those that are shared."""

    person: dict[str, str]
    known: Collection[str]


def names(
    combinations: Iterable[Sequence[str]], kinds: Kinds, blocked: Collection[str], erased: Erased = NOTHING
) -> Names:
    """People from the combinations of strong identifiers that touchpoints carry.

    Of a name with too many partners only as many are kept as show that they are too many.
    """
    links: dict[str, set[str]] = {}
    for combination in combinations:
        for name in combination:
            partners = links.setdefault(name, set())
            for other in combination:
                if other != name and len(partners) <= kinds.max_links:
                    partners.add(other)
    gone = {name: others for name in links if (others := erased.beside(name, links[name]))} if erased else {}
    return Names(people(links, kinds, blocked, gone), links.keys())


def homes(
    seen: Iterable[Seen], person: Mapping[str, str], kinds: Kinds, blocked: Collection[str], erased: Erased = NOTHING
) -> Iterator[Home]:
    """Resolve what comes sorted by device; in memory is one device at a time."""
    for device, group in groupby(seen, key=attrgetter("device")):
        yield _home(device, list(group), person, kinds, blocked, erased)


def _home(
    device: str, seen: list[Seen], person: Mapping[str, str], kinds: Kinds, blocked: Collection[str], erased: Erased
) -> Home:
    weak = kinds.look_back(device, shared=False) >= 0
    named: list[tuple[Order, str]] = []
    for one in seen:
        owner = _named(one, person)
        if owner is not None:
            named.append(((one.at, one.sequence, one.event), owner))
    is_somebodys = bool(named)
    named += [(order, device) for order in erased.on(device)]
    named.sort()
    orders = [order for order, _ in named]
    owned = []
    for one in seen:
        if one.at_home:
            owner = _named(one, person)
            if owner is None and weak and device not in blocked:
                owner = _near(one, orders, named, kinds.look_back(device, shared=one.shared))
            owned.append((one, owner or device))
    latest = named[-1][1] if named and device not in blocked else device
    return Home(device, latest if weak and (is_somebodys or owned) else None, owned)


def _named(one: Seen, person: Mapping[str, str]) -> str | None:
    """Whom the touchpoint itself names."""
    for name in one.names:
        if name in person:
            return person[name]
    return None


def _near(one: Seen, orders: list[Order], named: list[tuple[Order, str]], look_back: int) -> str | None:
    """Who was named next on the device, else last, no further away than `look_back` ms."""
    place = bisect_right(orders, (one.at, one.sequence, one.event))
    if place < len(named) and named[place][0][0] - one.at <= look_back:
        return named[place][1]
    if place and one.at - named[place - 1][0][0] <= look_back:
        return named[place - 1][1]
    return None
