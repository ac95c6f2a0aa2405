"""The topics: their names, keys, retention and what they hold. Everything that creates or checks topics reads this list.

Partitions are co-partitioned: every topic of `PARTITIONED` has the same number (8 by default, 4 in the local stack), and
records are placed by Kafka's own default partitioner (murmur2 of the key), so any client finds a customer's partition.
"""

from __future__ import annotations

from dataclasses import dataclass, field

HOUR = 3_600_000
DAY = 24 * HOUR
DEFAULT_PARTITIONS = 8
MAX_RECORD_BYTES = 8 << 20  # above the largest record that anyone writes: a journey with its whole path, in long names


@dataclass(frozen=True)
class Topic:
    """One topic: `key` in the words of the domain, `writer` the leg that may write it, `holds` for the reference page."""

    name: str
    key: str
    writer: str
    holds: str
    config: dict[str, str] = field(default_factory=dict)


def _kept(milliseconds: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(milliseconds), "max.message.bytes": str(MAX_RECORD_BYTES)}


_APPENDED = {"message.timestamp.type": "LogAppendTime"}  # how far a source has been read is told in the broker's time

# Erasure relies on a bounded compaction lag: a tombstone must really remove the value.
_COMPACTED = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.3",
    "max.compaction.lag.ms": str(DAY),
    "segment.ms": str(DAY),
    "segment.bytes": str(128 << 20),
    "max.message.bytes": str(MAX_RECORD_BYTES),
}

TOUCHPOINTS = Topic(
    "touchpoints",
    "address: the home identifier, or the event id of a touchpoint with a revision",
    "collector, import",
    "every accepted touchpoint, whole, one JSON record each",
    _kept(7 * DAY) | _APPENDED,
)
IDENTITY = Topic(
    "identity", "identifier", "identity", "internal messages between identifiers", _kept(7 * DAY) | _APPENDED
)
PEOPLE = Topic(
    "people",
    "person id",
    "identity",
    "which touchpoint (as a fold record) is whose; watermarks",
    _kept(7 * DAY) | _APPENDED,
)
IDENTITIES = Topic("identities", "identifier", "identity", "identifier → person, latest first", _COMPACTED)
JOURNEYS = Topic(
    "journeys", "person id", "stitch", "journeys as whole rows, the highest version counts", _kept(7 * DAY)
)
OUTCOMES = Topic("outcomes", "person id", "stitch", "dropped_off, recovered, completed; retracted", _kept(30 * DAY))
DEAD_LETTERS = Topic(
    "dead_letters", "source", "every leg", "what was not accepted, whole, with the reason", _kept(7 * DAY)
)
COMMANDS = Topic(
    "commands", "identifier", "CLI, API", "what an operator ordered: block, release, erase", _COMPACTED | _APPENDED
)
LEDGER = Topic(
    "ledger", "leg·generation·partition·source·hour", "every leg", "absolute counts of what a leg decided", _COMPACTED
)
IDENTITY_CHANGELOG = Topic("identity-changelog", "state key", "identity", "state of the identity leg", _COMPACTED)
STITCH_CHANGELOG = Topic("stitch-changelog", "state key", "stitch", "state of the stitch leg", _COMPACTED)

TOPICS = (
    TOUCHPOINTS,
    IDENTITY,
    PEOPLE,
    IDENTITIES,
    JOURNEYS,
    OUTCOMES,
    DEAD_LETTERS,
    COMMANDS,
    LEDGER,
    IDENTITY_CHANGELOG,
    STITCH_CHANGELOG,
)
