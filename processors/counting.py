"""The completeness ledger of one partition of one leg: what it decided, as absolute counts per source and hour of arrival."""

from __future__ import annotations

import msgspec

from schemas.codec import encode
from schemas.ledger import HOUR, Counted, Decision

_kept = msgspec.json.Decoder(Counted)


class Counting:
    """Counts in memory; what has changed goes to the state and to the topic in one transaction."""

    def __init__(self, prefix: bytes, writer: str) -> None:
        self._prefix = prefix
        self._leg, self._generation, self._partition = writer.rsplit("-", 2)
        self._counts: dict[tuple[str, int], dict[Decision, int]] = {}
        self._changed: set[tuple[str, int]] = set()

    def restore(self, key: bytes, value: bytes) -> None:
        counted = _kept.decode(value)
        self._counts[counted.source, counted.hour] = dict(counted.counts)

    def count(self, source: str, arrived: int, decision: Decision, more: int = 1) -> None:
        """One touchpoint of the source that arrived then (ms UTC) was so decided."""
        place = source, arrived - arrived % HOUR
        counts = self._counts.get(place)
        if counts is None:
            counts = self._counts[place] = {}
        counts[decision] = counts.get(decision, 0) + more
        self._changed.add(place)

    def take(self, state: dict[bytes, bytes | None]) -> list[tuple[bytes, bytes]]:
        """What has changed since this was last asked: put into the state, and as records of the topic."""
        records = []
        for source, hour in self._changed:
            key = f"{self._leg}·{self._generation}·{self._partition}·{source}·{hour}".encode()
            counted = Counted(
                self._leg, int(self._generation), int(self._partition), source, hour, self._counts[source, hour]
            )
            value = encode(counted)
            state[self._prefix + f"{hour}·{source}".encode()] = value
            records.append((key, value))
        self._changed.clear()
        return records
