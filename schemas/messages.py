"""What the partitions of the identity leg say to one another (topic `identity`), and what an operator orders (`commands`).

Every statement has one writer and a version that rises with everything this writer says; the reader keeps the highest. So
a message that comes twice, late or out of order changes nothing. Identifiers are written `kind:value`.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from schemas.erasure import Erase, Gone, Mark, Partner
from schemas.person import FoldRecord, Id, Whole

Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Said(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="said", tag=str.lower):
    pass


class Link(_Said, frozen=True):
    """Partition → name: touchpoints at home here carry you together with `other`, or no longer do."""

    name: str
    other: str
    partition: int
    version: Number
    linked: bool


class Follow(_Said, frozen=True):
    """Partition → name: keep us informed whose you are."""

    name: str
    partition: int


class Unfollow(_Said, frozen=True):
    """Partition → erased name: nothing here carries you any more."""

    name: str
    partition: int


class Advert(_Said, frozen=True):
    """Name → partitions that follow it: whose I am and over how many links; nobody's if I am shared."""

    name: str
    version: Number
    person: str
    hops: int
    shared: bool


class Sighting(_Said, frozen=True):
    """Home → further device of a touchpoint: these names were used on you then; without names: or rather not."""

    device: str
    event_id: Id
    revision: Whole
    at: int
    sequence: int
    names: list[str]


class Revised(_Said, frozen=True):
    """Event → home: the newest revision of one of your touchpoints; without a record it is retracted, or has left you."""

    home: str
    event_id: Id
    revision: Whole
    at: int
    sequence: int
    arrived: int  # append time of the touchpoint, ms UTC
    source: str
    strong: list[str] = []
    weak: list[str] = []
    shared: bool = False
    record: FoldRecord | None = None


class Order(_Said, frozen=True):
    """Partition that read an operator's order → identifier: you are blocked, or not; `version` is its append time."""

    identifier: str
    version: Number
    blocked: bool


class Erased(_Said, frozen=True):
    """Partition that read an erasure → every partition: its part of it; see `schemas/erasure.py`."""

    at: int
    names: list[Id]
    events: list[Gone] = []  # whose address, if they have revisions, is there
    gone: list[Gone] = []  # whose home is there, and so on
    marks: list[Mark] = []
    partners: list[Partner] = []


Message = Link | Follow | Unfollow | Advert | Sighting | Revised | Order | Erased


class Block(_Said, frozen=True):
    """Operator → identifier: you are nobody's (blocked), or after all somebody's. The last order in the log counts."""

    identifier: str
    blocked: bool
    by: str = ""
    reason: str = ""


Command = Block | Erase
