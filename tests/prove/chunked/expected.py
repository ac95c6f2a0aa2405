"""What the counting leg must have written, computed offline from its input alone, and how what is there differs."""

from __future__ import annotations

from collections import Counter, defaultdict

from runtime.kafka import Record, partition_of, read_topic
from runtime.settings import KafkaSettings
from tests.prove.chunked.job import (
    OUT_PARTITIONS,
    PARTITIONS,
    Counting,
    Row,
    State,
    decode_hop,
    decode_row,
    decode_state,
    key_of,
    neighbour,
)


def expected_states(entries: list[Record]) -> dict[bytes, State]:
    """The state of every key after all input, whatever happened in between."""
    states: dict[bytes, State] = defaultdict(State)
    for record in entries:
        assert record.key is not None
        assert record.value is not None
        state, number = states[record.key], int(record.value)
        state.taken_in += 1
        if number not in state.ids:
            state.ids.append(number)
    for sender in sorted(states):
        versions = len(states[sender].ids)
        number = int(sender[1:])
        receiver = states[key_of(neighbour(number))]
        receiver.taken_hop += versions
        receiver.heard[number] = versions, versions
    for state in states.values():
        state.rows = len(state.ids) + state.taken_hop
    return dict(states)


async def differences(kafka: KafkaSettings, leg: Counting, committed: dict[tuple[str, int], int]) -> Counter[str]:
    """Empty, or what is wrong and how often: in the state, the internal topic, the output, the offsets."""
    wrong = compare(*[await read_topic(kafka, topic) for topic in (leg.entry, leg.changelog, leg.hop, leg.out)])
    for topic in leg.sources:
        starts = {number: committed.get((topic, number), 0) for number in range(PARTITIONS)}
        wrong[f"records of {topic} beyond the committed offset"] += len(await read_topic(kafka, topic, starts))
    return +wrong


def compare(entries: list[Record], changelog: list[Record], hops: list[Record], rows: list[Record]) -> Counter[str]:
    """What is wrong in the three topics that the leg wrote, given its input."""
    expected = expected_states(entries)
    return compare_states(changelog, expected) + compare_hops(hops, expected) + compare_rows(rows, expected)


def compare_states(records: list[Record], expected: dict[bytes, State]) -> Counter[str]:
    wrong: Counter[str] = Counter()
    found: dict[bytes, State] = {}
    for record in records:
        assert record.key is not None
        assert record.value is not None
        wrong["state in the wrong partition"] += partition_of(record.key, PARTITIONS) != record.partition
        found[record.key] = decode_state(record.value)
    for key, state in expected.items():
        if key not in found:
            wrong["state missing"] += 1
            continue
        for field in State.__struct_fields__:
            wrong[f"state: {field}"] += getattr(found[key], field) != getattr(state, field)
    wrong["state of an unknown key"] += len(found.keys() - expected.keys())
    return wrong


def compare_hops(records: list[Record], expected: dict[bytes, State]) -> Counter[str]:
    wrong: Counter[str] = Counter()
    versions: Counter[int] = Counter()
    for record in records:
        assert record.key is not None
        assert record.value is not None
        hop = decode_hop(record.value)
        wrong["hop in the wrong partition"] += partition_of(record.key, PARTITIONS) != record.partition
        wrong["hop: version not the next"] += hop.version != versions[hop.sender] + 1
        versions[hop.sender] = hop.version
    wrong["hop: last version"] += sum(versions[int(key[1:])] != len(state.ids) for key, state in expected.items())
    return wrong


def compare_rows(records: list[Record], expected: dict[bytes, State]) -> Counter[str]:
    wrong: Counter[str] = Counter()
    rows: dict[bytes, Row] = {}
    for record in records:
        assert record.key is not None
        assert record.value is not None
        row, before = decode_row(record.value), rows.get(record.key, Row(0, 0, 0))
        wrong["row in the wrong partition"] += partition_of(record.key, OUT_PARTITIONS) != record.partition
        wrong["row: number not the next"] += row.number != before.number + 1
        wrong["row: more than one change"] += row.own - before.own + row.heard - before.heard != 1
        rows[record.key] = row
    for key, state in expected.items():
        last = Row(state.rows, len(state.ids), sum(count for _, count in state.heard.values()))
        wrong["row: last"] += rows.get(key, Row(0, 0, 0)) != last
    return wrong
