"""When Kafka has forgotten too: the topics that hold plain identifiers, and how long each keeps what it held.

A log is deleted by segments, once the newest record of one is older than the retention; a busy segment is closed when
`segment.ms` is over. A compacted topic drops a value once its segment is closed and the compaction lag is over, and the
tombstone, whose key is the identifier, a `delete.retention.ms` later in the same way. Closing takes a record that comes after:
a compacted partition to which nothing is written any more keeps what it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from runtime.settings import KafkaSettings
from schemas import topics

# Their broker's defaults: it looks every five minutes for what it may delete, and every 15 s for what it may compact.
LOOKS_MS = 5 * 60_000
_LOGS = (topics.TOUCHPOINTS, topics.IDENTITY, topics.DEAD_LETTERS)
_COMPACTED = (topics.IDENTITIES, topics.IDENTITY_CHANGELOG)
_READ = ("retention.ms", "segment.ms", "max.compaction.lag.ms", "delete.retention.ms")
_FOR_EVER = 2**62


class Kept(NamedTuple):
    """How long topics keep what is erased now, in ms: the slowest log, and the slowest compacted topic."""

    logs: int
    compacted: int


def kept(kafka: KafkaSettings, generations: Iterable[int]) -> Kept:
    """As the broker's topics are configured. Raises KafkaError."""
    logs, compacted = (
        {topics.Generation(number).topic(topic).name for number in generations for topic in some}
        for some in (_LOGS, _COMPACTED)
    )
    admin = KafkaAdminClient(**kafka.client())
    try:
        asked = [
            ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(_READ)) for name in sorted(logs | compacted)
        ]
        found = admin.describe_configs(asked, config_filter="all")
    finally:
        admin.close()
    by_topic = {name: values for some in found.values() for name, values in some.items()}
    return Kept(
        max(log_ms(_numbers(by_topic[name])) for name in logs),
        max(compacted_ms(_numbers(by_topic[name])) for name in compacted),
    )


def log_ms(config: Mapping[str, int]) -> int:
    """How long a log that is written to keeps a record. Pure."""
    return _for_ever(config["retention.ms"]) + _for_ever(config["segment.ms"]) + LOOKS_MS


def compacted_ms(config: Mapping[str, int]) -> int:
    """How long a compacted topic that is written to keeps the key of a value that is deleted now. Pure."""
    round_ms = min(config["segment.ms"], config["max.compaction.lag.ms"]) + config["max.compaction.lag.ms"] + LOOKS_MS
    return 2 * _for_ever(round_ms) + config["delete.retention.ms"]


def _for_ever(milliseconds: int) -> int:
    return _FOR_EVER if milliseconds < 0 or milliseconds > _FOR_EVER else milliseconds


def _numbers(config: Mapping[str, Mapping[str, object]]) -> dict[str, int]:
    return {name: int(str(config[name]["value"])) for name in _READ}
