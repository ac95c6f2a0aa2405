"""Who was erased, as whoever takes touchpoints in knows it: by keyed hashes. Pure.

The identity leg is the truth; this is the same question asked earlier, so that what is erased is not even written. What an
erasure says is `schemas/erasure.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from ingest.clock import moment
from ingest.rejected import Rejected
from ingest.source import Source
from schemas.erasure import Erase
from schemas.identity import Kinds, normalise, person_id, strong_in
from schemas.messages import Command

LONGEST_NAME = 256  # a longer one was never accepted, so it was never erased
NO_EVENT = "0" * 32
_command = msgspec.json.Decoder(Command)


class Erased:
    """Names with the time up to which they are erased, and events; 150 bytes for each."""

    def __init__(self, secret: bytes = b"") -> None:
        """`secret` as the workers have it: with another one no name is ever known again."""
        self._secret = secret
        self._until: dict[bytes, int] = {}  # name → ms UTC
        self._events: set[bytes] = set()
        self._latest = -1

    def __bool__(self) -> bool:
        return bool(self._until or self._events)

    def hear(self, value: bytes | None) -> None:
        """Take note of a record of the topic `commands`. What is no erasure is for others; to hear one twice is harmless."""
        try:
            said = _command.decode(value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return  # the identity leg refuses it
        if not isinstance(said, Erase):
            return
        for name in map(bytes.fromhex, said.names):
            self._until[name] = max(self._until.get(name, -1), said.at)
            self._latest = max(self._latest, said.at)
        self._events.update(bytes.fromhex(gone.event_id) for gone in said.gone)

    def refuses(self, event_id: str, identifiers: Mapping[str, str], occurred_at: int, kinds: Kinds) -> Rejected | None:
        """Why a touchpoint may not come in: its stored id, its normal identifiers, when it occurred in ms UTC.

        A name is hashed only for what occurred up to the latest erasure.
        """
        if self._events and bytes.fromhex(event_id.replace("-", "")) in self._events:
            return Rejected(
                "erased", "event_id", "this touchpoint was erased on request: not kept; do not send it again"
            )
        if occurred_at > self._latest:
            return None
        for name in strong_in(identifiers, kinds):
            until = self._until.get(person_id(name, self._secret).bytes, -1)
            if occurred_at <= until:
                when = datetime.fromtimestamp(until / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
                message = f"this customer was erased on request, up to {when}: not kept; do not send it again"
                return Rejected("erased", f"identifiers.{name.partition(':')[0]}", message)
        return None

    def recognises(self, content: Any, source: Source, received_at: int, skew: int, kinds: Kinds) -> Rejected | None:
        """As `refuses`, for something that is no touchpoint, as far as it can be read: the dead letters would keep it whole.

        A time that cannot be read is taken to be before the erasure.
        """
        if not isinstance(content, dict):
            return None
        given, own, said = map(content.get, ("identifiers", "event_id", "occurred_at"))
        at = received_at if said is None else (moment(content, "occurred_at", source.zone) or 0) + skew
        names = {
            kind: normalise(kind, value, kinds)
            for kind, value in (given.items() if isinstance(given, dict) else ())
            if kind in kinds.strong and isinstance(value, str) and len(value) <= LONGEST_NAME
        }
        event_id = source.event_id(own) if isinstance(own, str) else NO_EVENT
        return self.refuses(event_id, names, at, kinds)


NOTHING = Erased()
