"""Names of a generation's topics; what a replay does not write twice; what it refuses to read."""

from __future__ import annotations

import json
import re

import pytest

from processors.dead_letters import DeadLetters
from processors.identity import IdentityPartition, Resized
from runtime.chunked.leg import Chunk
from runtime.kafka import partition_of
from schemas import topics
from schemas.definition import load_definitions
from schemas.topics import Generation, pattern, split
from sinks.rows import TABLES, lines_of
from tests.sink_records import FakeRecord, journey


def test_the_first_generation_has_the_plain_names() -> None:
    assert Generation(1).topics == topics.TOPICS
    assert Generation(1).group("identity") == "identity"


def test_another_one_shares_what_everybody_reads() -> None:
    two = Generation(2)
    assert two.topic(topics.PEOPLE).name == "people.g2"
    assert two.topic(topics.PEOPLE).config == topics.PEOPLE.config
    assert two.group("stitch") == "stitch.g2"
    shared = {topic.name for topic in two.topics} & {topic.name for topic in topics.TOPICS}
    assert shared == {"touchpoints", "commands", "alerts", "dead_letters", "ledger"}
    assert [split(topic.name) for topic in two.own] == [(topic.name, 2) for topic in Generation(1).own]


def test_the_sink_reads_the_topics_of_every_generation_and_no_others() -> None:
    wanted = re.compile(pattern(TABLES))
    assert all(wanted.match(name) for name in ("touchpoints", "journeys", "journeys.g2", "people.g17", "dead_letters"))
    others = ("touchpoints.g2", "identity", "identity.g2", "journeys.gx", "journeys2", "my-journeys", "commands")
    assert not [name for name in others if wanted.match(name)]


def test_rows_carry_their_generation_if_it_is_not_the_first() -> None:
    value = journey(1)
    (line,) = lines_of("journeys.g2", [FakeRecord("journeys.g2", 42, value)])
    assert json.loads(line) == {"_generation": 2} | json.loads(value)
    (line,) = lines_of("identities.g3", [FakeRecord("identities.g3", 42, b'{"identifier":"a"}', partition=3)])
    assert json.loads(line)["_generation"] == 3
    assert json.loads(line)["_offset"] == 42


KEY = "email:ada@example.com"
PARTITIONS = 4


def leg(number: int, refused: frozenset[str] = frozenset(), resized_before: int = 0) -> IdentityPartition:
    letters = DeadLetters("dead_letters", PARTITIONS, "identity", refused)
    return IdentityPartition(
        number,
        load_definitions(),
        secret=b"s",
        partitions=PARTITIONS,
        dead_letters=letters,
        generation=2,
        resized_before=resized_before,
    )


def chunk(number: int, at: int = 10) -> Chunk:
    return Chunk("touchpoints", number, [7], [at], [KEY.encode()], [b"not json"])


def written(partition: IdentityPartition) -> list[str]:
    return sorted({output.topic for output in partition.collect(11)[1]})


def test_what_has_its_dead_letter_gets_no_second_one_and_is_counted_for_this_generation() -> None:
    partition = leg(0)
    partition.take(chunk(0))
    assert written(partition) == ["dead_letters", "ledger"]
    partition = leg(0, frozenset({"touchpoints/0/7"}))
    partition.take(chunk(0))
    _, outputs = partition.collect(11)
    assert [output.topic for output in outputs] == ["ledger"]
    assert json.loads(outputs[0].value or b"")["generation"] == 2


def test_a_log_from_before_a_resize_is_refused() -> None:
    home = partition_of(KEY.encode(), PARTITIONS)
    other = (home + 1) % PARTITIONS
    leg(home, resized_before=100).take(chunk(home))
    leg(other, resized_before=10).take(chunk(other))  # it arrived since: whoever wrote it knew all partitions
    with pytest.raises(Resized, match=f"touchpoints/{other}/7"):
        leg(other, resized_before=11).take(chunk(other))
