"""Erasure: what is ordered when a person is to be forgotten, and what may stay of them so that nobody else changes hands.

Nothing in an `Erase` is a plain identifier. Names and devices are keyed hashes (`schemas.identity.person_id`), touchpoints are
their event ids, which name nobody. It is kept for good in `commands`, so a replay and whatever comes late meet it too:

- What carries one of the names and occurred up to `at` is erased, whenever it arrives; a later one starts anew.
- The listed events are erased, in every revision.
- Where an erased touchpoint had named somebody on a device a mark stays: somebody was there, but nobody knows who.
- A name that stays keeps an erased partner's hash, so that it does not fall below `max_links` and melt those behind it.

`plan` makes one from the touchpoints of a person; `schemas/resolve.py` says what it does. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Annotated, NamedTuple

import msgspec

from schemas.person import Id
from schemas.resolve import Sighted

Place = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Moment = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Hashed(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An identifier that may not be named: its keyed hash, and where it hashes to (modulo partitions, its partition)."""

    id: Id
    place: Place


class Gone(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An erased touchpoint: at which home it was, and where the ledger has counted it (`arrived` in ms UTC)."""

    event_id: Id
    home: Hashed
    source: str
    arrived: Moment


class Mark(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Somebody was named on this device by this touchpoint; or, with `at` 0, nobody was, but the device knows of it."""

    device: Hashed
    at: Moment  # ms UTC
    sequence: Annotated[int, msgspec.Meta(ge=-1, le=2**31 - 2)]
    event_id: Id


class Partner(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A name that stays has stood beside one that is erased, or beside another one on an erased touchpoint."""

    name: Hashed
    partner: Id


class Erase(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="said", tag="erase"):
    """Operator → everybody: forget these people. Absolute: to hear it twice changes nothing.

    A person with very many touchpoints comes in several, each with all the names.
    """

    erasure_id: str
    at: Moment  # ms UTC: what occurred up to then is meant
    names: list[Id]
    gone: list[Gone]
    marks: list[Mark] = []
    partners: list[Partner] = []
    by: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        """ValueError unless every id is hex: to whoever decodes it, a record that is no erasure, not one to stumble over."""
        ids = [*self.names]
        for one in self.gone:
            ids += one.event_id, one.home.id
        for mark in self.marks:
            ids += mark.event_id, mark.device.id
        for partner in self.partners:
            ids += partner.name.id, partner.partner
        if any(len(bytes.fromhex(one)) != 16 for one in ids):  # which passes over blanks
            raise ValueError("an id that is not 32 hex digits")

    @property
    def key(self) -> str:
        """Its key in the topic `commands`."""
        return f"erasure:{self.erasure_id}"


class Stored(NamedTuple):
    """A touchpoint that is to be erased, as it is stored."""

    sighted: Sighted
    source: str
    arrived: int  # append time of its first revision, ms UTC


def plan(
    stored: Iterable[Stored],
    names: Collection[str],
    shared: Collection[str],
    hashed: Callable[[str], Hashed],
) -> tuple[list[Gone], list[Mark], list[Partner]]:
    """What an erasure says of these touchpoints, each in its newest revision, retracted ones too.

    `names` are the strong identifiers of the people to be erased, `shared` those that name nobody; `hashed` is the hash of an
    identifier. A touchpoint whose first name that is not shared is somebody else's is a sighting of theirs, and gone as well.
    """
    gone, marks, partners = [], [], {}
    for touchpoint, source, arrived in stored:
        event = touchpoint.event.hex()
        gone.append(Gone(event, hashed(touchpoint.home), source, arrived))
        if touchpoint.retracted:
            continue
        if any(name not in shared for name in touchpoint.strong):
            marks += [Mark(hashed(device), touchpoint.at, touchpoint.sequence, event) for device in touchpoint.weak]
        elif touchpoint.strong:
            marks += [Mark(hashed(device), 0, -1, event) for device in touchpoint.weak[1:]]
        for name in touchpoint.strong:
            if name not in names:
                for other in touchpoint.strong:
                    if other != name:
                        partners[name, other] = Partner(hashed(name), hashed(other).id)
    return gone, marks, list(partners.values())
