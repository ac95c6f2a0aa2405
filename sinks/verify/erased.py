"""What was erased, in hashes: which touchpoints are no longer there, and what is kept of them. Pure.

`schemas/erasure.py` says it, `schemas/resolve.py` says what it means; here the two meet, without anybody's identifier.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from schemas.erasure import Erase
from schemas.identity import person_id
from schemas.resolve import Order

HASHES_KEPT = 1 << 16


class Erased:
    """All erasures together; about 100 bytes for each touchpoint that was erased."""

    def __init__(self, secret: bytes = b"", erasures: Iterable[Erase] = ()) -> None:
        """`secret` as the worker has it."""
        self.hashed = lru_cache(HASHES_KEPT)(lambda identifier: person_id(identifier, secret).bytes)
        self.until: dict[bytes, int] = {}  # name → ms UTC
        self.events: set[bytes] = set()
        self.marks: dict[bytes, list[Order]] = {}  # by device
        self.partners: dict[bytes, set[bytes]] = {}  # of a name that stays
        for erase in erasures:
            self._add(erase)
        self._latest = max(self.until.values(), default=-1)

    def __bool__(self) -> bool:
        return bool(self.until or self.events or self.marks or self.partners)

    def takes(self, event: bytes, at: int, names: Sequence[str]) -> bool:
        """Is this touchpoint, the newest revision of its event, erased? `at`: when it occurred, ms UTC."""
        if event in self.events:
            return True
        return at <= self._latest and any(at <= self.until.get(self.hashed(name), -1) for name in names)

    def on(self, device: str) -> Sequence[Order]:
        """When somebody was named on the device of whom nothing else is known."""
        return self.marks.get(self.hashed(device), ()) if self.marks else ()

    def beside(self, name: str, others: Iterable[str]) -> set[str]:
        """Partners of the name that are erased and not among these others, as hex: an identifier never looks like that."""
        gone = self.partners.get(self.hashed(name)) if self.partners else None
        return {partner.hex() for partner in gone.difference(map(self.hashed, others))} if gone else set()

    def _add(self, erase: Erase) -> None:
        read = bytes.fromhex
        for name in map(read, erase.names):
            self.until[name] = max(self.until.get(name, -1), erase.at)
        self.events.update(read(gone.event_id) for gone in erase.gone)
        for mark in erase.marks:
            self.marks.setdefault(read(mark.device.id), []).append((mark.at, mark.sequence, read(mark.event_id)))
        for one in erase.partners:
            self.partners.setdefault(read(one.name.id), set()).add(read(one.partner))
