"""The topics: their names, keys, retention and what they hold. Everything that creates or checks topics reads this list.

Partitions are co-partitioned: every topic of `PARTITIONED` has the same number (8 by default, 4 in the local stack), and
records are placed by Kafka's own default partitioner (murmur2 of the key), so any client finds a customer's partition.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

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
    """A record goes with its segment: without a bound for that a quiet topic would keep it for as long again."""
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(milliseconds),
        "segment.ms": str(DAY),
        "max.message.bytes": str(MAX_RECORD_BYTES),
    }


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
LATE = Topic(
    "late", "person id", "stitch", "what came too late for a person's journeys and waits for a replay", _kept(30 * DAY)
)
ALERTS = Topic("alerts", "series", "alerts", "what is worse than usual: opened, widened, resolved", _kept(30 * DAY))
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
    LATE,
    ALERTS,
    DEAD_LETTERS,
    COMMANDS,
    LEDGER,
    IDENTITY_CHANGELOG,
    STITCH_CHANGELOG,
)

# What belongs to one generation of people and journeys; the others are shared by all.
_OWN = (IDENTITY, PEOPLE, IDENTITIES, JOURNEYS, OUTCOMES, LATE, IDENTITY_CHANGELOG, STITCH_CHANGELOG)
_SHARED = tuple(topic for topic in TOPICS if topic not in _OWN)
_NAME = re.compile(r"(.+)\.g([1-9][0-9]*)")


@dataclass(frozen=True)
class Generation:
    """The topics and consumer groups of one generation; the first has the plain names, `n` adds `.gn` to its own."""

    number: int

    def topic(self, topic: Topic) -> Topic:
        """The topic as this generation knows it: its own, or the shared one."""
        if self.number == 1 or topic not in _OWN:
            return topic
        return replace(topic, name=f"{topic.name}.g{self.number}")

    def group(self, leg: str) -> str:
        """Consumer group of a leg, and prefix of its transactional ids."""
        return leg if self.number == 1 else f"{leg}.g{self.number}"

    @property
    def stored(self) -> Topic:
        """Touchpoints from ClickHouse, while the generation is being built from there: the log of then is not enough."""
        return replace(
            TOUCHPOINTS, name=f"{TOUCHPOINTS.name}.g{self.number}", writer="replay", holds="touchpoints from ClickHouse"
        )

    @property
    def own(self) -> tuple[Topic, ...]:
        """The topics that nobody else has: they go when the generation goes."""
        return tuple(self.topic(topic) for topic in _OWN)

    @property
    def topics(self) -> tuple[Topic, ...]:
        """Everything that it reads and writes."""
        return tuple(self.topic(topic) for topic in TOPICS)


def split(name: str) -> tuple[str, int]:
    """A topic's name → the name that generation 1 has for it, and whose it is (1 for the shared ones too)."""
    match = _NAME.fullmatch(name)
    return (match[1], int(match[2])) if match else (name, 1)


def pattern(names: Iterable[str]) -> str:
    """A regular expression for these topics (by their plain names) of every generation."""
    own = {topic.name for topic in _OWN}
    each = (re.escape(name) + (r"(?:\.g[0-9]+)?" if name in own else "") for name in names)
    return f"^(?:{'|'.join(each)})$"
