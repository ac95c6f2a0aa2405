"""The definition: whose is each touchpoint, as a function of the set of touchpoints and of what operators blocked.

The identity leg computes the same in a stream of messages; `desireline verify` and the tests compare the two. Nothing here
is shared with `processors/`. Memory grows with what is given.

- The newest revision of an event counts; a retracted one contributes nothing.
- Strong identifiers on one touchpoint are linked. One with more than `max_links` different partners, or blocked, is shared:
  it links nobody and names nobody.
- People are the connected components of the others, cut `max_hops` links from their smallest identifier, which names them.
- A touchpoint is the person's of its first identifier that names somebody. Without one it is who was named NEXT on its first
  device within the look-back, else LAST, else the device's own. A named touchpoint is a sighting on every device it carries.
- An erased touchpoint contributes nothing but what its erasure keeps: marks, which are sightings of nobody (what they explain
  is the device's own), and partners, which count towards `max_links`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from schemas.identity import Kinds

Order = tuple[int, int, bytes]


class Sighted(NamedTuple):
    """What identity needs of a touchpoint: identifiers as `kind:value`, both kinds in configured order; `at` in ms UTC."""

    event: bytes
    at: int
    strong: tuple[str, ...]
    weak: tuple[str, ...]
    revision: int = 0
    sequence: int = -1
    retracted: bool = False
    shared: bool = False  # its source's devices are used by many

    @property
    def order(self) -> Order:
        return self.at, self.sequence, self.event

    @property
    def home(self) -> str:
        return (self.weak + self.strong)[0]


class Erased(NamedTuple):
    """What was erased, and what is kept of it; see `schemas/erasure.py`, which says the same in hashes."""

    until: Mapping[str, int]  # name → ms UTC: what carries it and occurred up to then is erased
    events: Collection[bytes] = ()
    marks: Collection[tuple[str, Order]] = ()  # device and place in the order
    partners: Mapping[str, Collection[str]] = {}  # of names that stay


NOTHING_ERASED = Erased({})


class Resolved(NamedTuple):
    """Owner of every live touchpoint by event id, and person of every identifier; a person is its smallest identifier."""

    owners: dict[bytes, str]
    identities: dict[str, str]
    shared: frozenset[str]


def newest(touchpoints: Iterable[Sighted], erased: Erased = NOTHING_ERASED) -> list[Sighted]:
    """The live touchpoints: each event's highest revision (of equal ones the first given), without the retracted and the
    erased."""
    found: dict[bytes, Sighted] = {}
    for touchpoint in touchpoints:
        known = found.get(touchpoint.event)
        if known is None or touchpoint.revision > known.revision:
            found[touchpoint.event] = touchpoint
    return [
        one for one in found.values() if not (one.retracted or one.event in erased.events or is_erased(one, erased))
    ]


def is_erased(touchpoint: Sighted, erased: Erased) -> bool:
    """Does it carry the name of somebody who was erased after it occurred?"""
    return any(touchpoint.at <= erased.until.get(name, -1) for name in touchpoint.strong)


def people(
    links: Mapping[str, Collection[str]],
    kinds: Kinds,
    blocked: Collection[str] = (),
    partners: Mapping[str, Collection[str]] | None = None,
) -> dict[str, str]:
    """Person of every strong identifier that is not shared; `links` has an entry for each, even if it is empty. `partners`,
    the erased ones of names, only count."""
    gone = partners or {}
    personal = {
        name
        for name, others in links.items()
        if name not in blocked and len({*others, *gone.get(name, ())}) <= kinds.max_links
    }
    person: dict[str, str] = {}
    for root in sorted(personal, key=kinds.rank):
        reached = set() if root in person else {root}
        for _ in range(kinds.max_hops + 1):
            person.update(dict.fromkeys(reached, root))
            reached = {other for name in reached for other in links[name] if other in personal and other not in person}
    return person


def links_of(live: Iterable[Sighted]) -> dict[str, set[str]]:
    """Which strong identifiers stand together on a touchpoint."""
    links: dict[str, set[str]] = defaultdict(set)
    for touchpoint in live:
        for name in touchpoint.strong:
            links[name].update(other for other in touchpoint.strong if other != name)
    return links


def nearest(touchpoint: Sighted, sightings: Iterable[tuple[Order, str]], look_back: int) -> str | None:
    """Who was named next, else last, within `look_back` ms; None: nobody."""
    near = sorted(one for one in sightings if abs(one[0][0] - touchpoint.at) <= look_back)
    after = [name for order, name in near if order > touchpoint.order]
    return after[0] if after else near[-1][1] if near else None


def resolve(
    touchpoints: Iterable[Sighted], kinds: Kinds, blocked: Collection[str] = (), erased: Erased = NOTHING_ERASED
) -> Resolved:
    """See the module. Every touchpoint has at least one identifier."""
    live = newest(touchpoints, erased)
    links = links_of(live)
    person = people(links, kinds, blocked, erased.partners)
    on_device: dict[str, list[tuple[Order, str]]] = defaultdict(list)
    for touchpoint in live:
        named = next((person[name] for name in touchpoint.strong if name in person), None)
        for device in touchpoint.weak if named is not None else touchpoint.weak[:1]:
            sightings = on_device[device]
            if named is not None:
                sightings.append((touchpoint.order, named))
    for device, order in erased.marks:
        if device in on_device:
            on_device[device].append((order, device))
    owners: dict[bytes, str] = {}
    for touchpoint in live:
        owner = next((person[name] for name in touchpoint.strong if name in person), None)
        if owner is None and touchpoint.weak and touchpoint.weak[0] not in blocked:
            device = touchpoint.weak[0]
            owner = nearest(touchpoint, on_device[device], kinds.look_back(device, shared=touchpoint.shared))
        owners[touchpoint.event] = owner or touchpoint.home
    identities = {name: person.get(name, name) for name in links}
    for device, sightings in on_device.items():
        at_home = device in blocked or not sightings
        identities[device] = device if at_home else max(sightings)[1]
    shared = (links.keys() - person.keys()) | (on_device.keys() & frozenset(blocked))
    return Resolved(owners, identities, frozenset(shared))
