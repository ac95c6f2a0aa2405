"""What the identity leg reads of a touchpoint, and what the kinds of its identifiers mean that stand together. Pure."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple
from uuid import UUID

import msgspec

from schemas.identity import Kinds
from schemas.touchpoint import EARLIEST, LATEST, MAX_MINOR_UNITS, MAX_SEQUENCE

NO_KIND = ""
Whole = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Label = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
_EARLIEST, _LATEST = (int(moment.timestamp() * 1000) for moment in (EARLIEST, LATEST))


class _Money(msgspec.Struct, gc=False):
    amount: Annotated[int, msgspec.Meta(ge=-MAX_MINOR_UNITS, le=MAX_MINOR_UNITS)]
    currency: Annotated[str, msgspec.Meta(min_length=3, max_length=3)]


class _Felt(msgspec.Struct, gc=False):
    kind: str
    score: Annotated[int, msgspec.Meta(ge=0, le=10)] | None = None
    sentiment: str | None = None


class Seen(msgspec.Struct, gc=False):
    """What this leg reads of a `StoredTouchpoint`; other fields are skipped without being decoded.

    It checks whatever would make this leg or those behind it fail: a record that somebody else wrote becomes a dead letter,
    not a crash, and not a row that ClickHouse refuses.
    """

    event_id: UUID
    source: Label
    identifiers: dict[str, Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]]  # its normal form may be longer
    channel: Label
    name: Label
    occurred_at: Annotated[int, msgspec.Meta(ge=_EARLIEST, le=_LATEST)]
    # 32 hex digits. Who makes bytes of them finds what is not hex; a pattern would cost more than all else of decoding.
    content: Annotated[str, msgspec.Meta(min_length=32, max_length=32)]
    sequence: Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQUENCE)] | None = None
    revision: Whole = 0
    retracted: bool = False
    value: _Money | None = None
    feedback: _Felt | None = None
    properties: dict[str, Any] = {}


class Ordered(NamedTuple):
    """Kinds of identifiers in configured order, how far a name on the first weak one explains a touchpoint, in ms; the kind
    of the home, and whether there is no further device."""

    strong: tuple[str, ...]
    weak: tuple[str, ...]
    reach: int
    shared_reach: int
    home: str
    simple: bool


touchpoint_decoder = msgspec.json.Decoder(Seen)


def ordered(given: tuple[str, ...], configured: Kinds) -> Ordered:
    """What these kinds mean that stand together on a touchpoint."""
    strong, weak = (tuple(kind for kind in all_of if kind in given) for all_of in (configured.strong, configured.weak))
    return Ordered(
        strong,
        weak,
        configured.look_back(f"{weak[0]}:", shared=False) if weak else -1,
        configured.look_back(f"{weak[0]}:", shared=True) if weak else -1,
        (*weak, *strong, NO_KIND)[0],
        len(weak) < 2,
    )
