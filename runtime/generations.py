"""The generations of people and journeys in Kafka: which there are, how far each has come, making and deleting its topics."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import CoordinatorNotAvailableError, GroupIdNotFoundError, KafkaError

from runtime.kafka import TopicSpec, create_topics
from runtime.settings import KafkaSettings
from schemas import topics

EARLIEST, LATEST = -2, -1  # Kafka's names for both ends of a log
READS = (("identity", topics.TOUCHPOINTS), ("stitch", topics.PEOPLE))
GONE_SECONDS = 60.0


class CannotReplay(RuntimeError):
    """The touchpoints that a new generation would have to read are not there: says which."""


class InUse(RuntimeError):
    """Workers of the generation are running: says how many."""


class Progress(NamedTuple):
    """What a leg, or the sink, has read of its topic, in records (markers of transactions included)."""

    leg: str
    topic: str
    read: int
    end: int

    @property
    def behind(self) -> int:
        return max(0, self.end - self.read)


@contextmanager
def _admin(kafka: KafkaSettings) -> Iterator[Any]:
    client = KafkaAdminClient(**kafka.client())
    try:
        yield client
    finally:
        client.close()


def existing(kafka: KafkaSettings) -> list[int]:
    """The generations that have topics of their own, rising. Raises KafkaError."""
    plain = {topic.name for topic in topics.Generation(1).own}
    with _admin(kafka) as admin:
        return sorted({number for name, number in map(topics.split, admin.list_topics()) if name in plain})


def create(kafka: KafkaSettings, generation: int, *, stored: bool = False) -> list[str]:
    """Make its topics, with as many partitions as the touchpoints have; names of those created.

    Raises CannotReplay unless the log has every touchpoint that the generation has still to read, and KafkaError. `stored`: it
    begins with those that ClickHouse has, for which it gets one topic more; the log may begin anywhere.
    """
    with _admin(kafka) as admin:
        begins = _offsets(admin, [topics.TOUCHPOINTS.name], EARLIEST)
        committed = _committed(admin, topics.Generation(generation).group("identity"))
    for tp, begin in sorted(begins.items()):
        if begin <= committed.get(tp, 0):
            continue
        if tp in committed:
            raise CannotReplay(
                f"generation {generation} has read partition {tp.partition} of touchpoints up to {committed[tp]}, but the log "
                f"begins at {begin} now: desireline replay drop {generation}, then desireline replay start --from clickhouse"
            )
        if not stored:
            raise CannotReplay(
                f"the log of touchpoints does not begin at its beginning any more (partition {tp.partition} at {begin}), older "
                "touchpoints are in ClickHouse: desireline replay start --from clickhouse"
            )
    own = topics.Generation(generation)
    wanted = (own.stored, *own.own) if stored else own.own  # first: whoever sees the others must see it too
    return create_topics(kafka, [TopicSpec(topic.name, len(begins), topic.config) for topic in wanted])


def filling(kafka: KafkaSettings) -> list[int]:
    """The generations that still read what ClickHouse has, and have read nothing of the log. Raises KafkaError."""
    with _admin(kafka) as admin:
        found = [topics.split(name) for name in admin.list_topics()]
    return sorted(number for name, number in found if name == topics.TOUCHPOINTS.name and number > 1)


def filled(kafka: KafkaSettings, generation: int) -> None:
    """It has read what ClickHouse had: take the topic away, so that its workers go on with the log. Safe to repeat.

    Raises InUse while workers of it are running, and KafkaError.
    """
    require_idle(kafka, generation)
    name = topics.Generation(generation).stored.name
    with _admin(kafka) as admin:
        if name in admin.list_topics():
            admin.delete_topics([name])
        while name in admin.list_topics():
            time.sleep(0.1)


def progress(kafka: KafkaSettings, generation: int, sink_group: str) -> list[Progress]:
    """How far each leg of the generation, and the sink with its journeys, has come. Raises KafkaError."""
    own = topics.Generation(generation)
    reads = [(own.group(leg), leg, own.topic(topic).name) for leg, topic in READS]
    if generation in filling(kafka):
        reads[0] = own.group("identity"), "identity", own.stored.name
    reads.append((sink_group, "sink", own.topic(topics.JOURNEYS).name))
    with _admin(kafka) as admin:
        ends = _offsets(admin, [topic for _, _, topic in reads], LATEST)
        found = []
        for group, leg, topic in reads:
            committed = _committed(admin, group)
            mine = [tp for tp in ends if tp.topic == topic]
            found.append(Progress(leg, topic, sum(committed.get(tp, 0) for tp in mine), sum(ends[tp] for tp in mine)))
        return found


def require_idle(kafka: KafkaSettings, generation: int) -> None:
    """Raises InUse while workers of the generation run, and KafkaError."""
    own = topics.Generation(generation)
    with _admin(kafka) as admin:
        members = sum(len(_described(admin, own.group(leg)).get("members", ())) for leg, _ in READS)
    if members:
        raise InUse(f"{members} legs of generation {generation} are running: stop its workers first")


def delete(kafka: KafkaSettings, generation: int, sink_group: str) -> None:
    """Delete its topics and groups and wait until no sink reads them any more. Safe to repeat.

    Raises InUse while a sink holds on to the topics after a minute, and KafkaError.
    """
    own = topics.Generation(generation)
    with _admin(kafka) as admin:
        names = {topic.name for topic in (*own.own, own.stored)}
        there = sorted(names & set(admin.list_topics()))
        if there:
            admin.delete_topics(there)
        groups = [own.group(leg) for leg, _ in READS] + [own.group("replay")]
        for group, error in admin.delete_groups(groups).items() if groups else ():
            if error not in (None, "OK") and "NotFound" not in str(error):
                raise KafkaError(f"group {group} was not deleted: {error}")
        deadline = time.monotonic() + GONE_SECONDS
        while held := names & _assigned(_described(admin, sink_group)):
            if time.monotonic() > deadline:
                raise InUse(f"the sink still reads {', '.join(sorted(held))}: start it again, then drop again")
            time.sleep(0.2)


def _described(admin: Any, group: str) -> dict[str, Any]:
    try:
        return dict(admin.describe_groups([group])[group])
    except (GroupIdNotFoundError, CoordinatorNotAvailableError):
        return {}


def _assigned(described: dict[str, Any]) -> set[str]:
    """Topics that the members of a group read."""
    found = set()
    for member in described.get("members", ()):
        assignment = member.get("member_assignment") or {}
        found |= {str(one["topic"]) for one in assignment.get("assigned_partitions", ())}
    return found


def _committed(admin: Any, group: str) -> dict[TopicPartition, int]:
    try:
        return {tp: int(at.offset) for tp, at in admin.list_group_offsets([group])[group].items()}
    except (CoordinatorNotAvailableError, GroupIdNotFoundError):
        return {}


def _offsets(admin: Any, names: Iterable[str], spec: int) -> dict[TopicPartition, int]:
    described = admin.describe_topics(list(names))
    partitions = [
        TopicPartition(topic["name"], partition["partition_index"])
        for topic in described
        for partition in topic["partitions"]
    ]
    return {tp: int(at.offset) for tp, at in admin.list_partition_offsets(dict.fromkeys(partitions, spec)).items()}
