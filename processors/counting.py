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
            counts = self._counts[source, hour]
            counted = Counted(self._leg, int(self._generation), int(self._partition), source, hour, counts)
            key, value = kept(self._prefix, counted)
            state[key] = value
            records.append((published(counted)[0], value))
        self._changed.clear()
        return records


class Carried(Counting):
    """For touchpoints that the generation before has counted, and whose counts this one began with: counts only who is
    refused now and was not then."""

    def __init__(self, counting: Counting) -> None:
        self._counting = counting

    def count(self, source: str, arrived: int, decision: Decision, more: int = 1) -> None:
        if decision == "rejected":
            self._counting.count(source, arrived, "stored", -more)
            self._counting.count(source, arrived, "rejected", more)


def kept(prefix: bytes, counted: Counted) -> tuple[bytes, bytes]:
    """The state record of a count: its key and its value."""
    return prefix + f"{counted.hour}·{counted.source}".encode(), encode(counted)


def published(counted: Counted) -> tuple[bytes, bytes]:
    """The record of the topic `ledger`: its key and its value."""
    where = (counted.leg, counted.generation, counted.partition, counted.source, counted.hour)
    return "·".join(map(str, where)).encode(), encode(counted)
