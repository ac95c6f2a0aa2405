"""The leg that the faults are thrown at: counters that are NOT idempotent, so that one lost or doubled record shows.

    in (key k: an id) ──► k's state ──► hop (to k's neighbour: version, count) ──► the neighbour's state
                             └──────────────── out (one numbered row per change) ◄────────┘

`in`, `hop` and the changelog have 8 partitions, `out` has 5. `hop` is written by the leg itself, to any partition. Rows
of a key are numbered 1, 2, 3 …, so are the versions of a sender; ids come more than once on purpose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from runtime.chunked.leg import Chunk, Output, Partition
from runtime.kafka import TopicSpec, partition_of

KEYS = 2_000
PARTITIONS = 8
OUT_PARTITIONS = 5
APPEND_TIME = {"message.timestamp.type": "LogAppendTime"}


class Hop(msgspec.Struct, array_like=True):
    """What a sender tells its neighbour: its version and how many ids it has."""

    sender: int
    version: int
    count: int


class Row(msgspec.Struct, array_like=True):
    """One change of a key: `own` ids of its own, `heard` of its senders."""

    number: int
    own: int
    heard: int


class State(msgspec.Struct, array_like=True):
    """A key's state; `taken_in`, `taken_hop` and `rows` count, so they show every replay and every loss."""

    ids: list[int] = []
    heard: dict[int, tuple[int, int]] = {}
    taken_in: int = 0
    taken_hop: int = 0
    rows: int = 0


encode = msgspec.msgpack.Encoder().encode
decode_hop = msgspec.msgpack.Decoder(Hop).decode
decode_row = msgspec.msgpack.Decoder(Row).decode
decode_state = msgspec.msgpack.Decoder(State).decode


def key_of(number: int) -> bytes:
    """The key with this number."""
    return b"k%05d" % number


def neighbour(number: int) -> int:
    """Whom a key tells; three senders have the same one."""
    return (number // 3 * 797 + 13) % KEYS


class WatermarkError(AssertionError):
    """A record came that `read_to` had promised to have been taken before."""


class Counting(NamedTuple):
    """The leg; all its names start with `name`."""

    name: str

    @property
    def entry(self) -> str:
        return f"{self.name}-in"

    @property
    def hop(self) -> str:
        return f"{self.name}-hop"

    @property
    def out(self) -> str:
        return f"{self.name}-out"

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.entry, self.hop)

    @property
    def changelog(self) -> str:
        return f"{self.name}-changelog"

    @property
    def topics(self) -> list[TopicSpec]:
        """All four, as they must be before the first worker joins."""
        return [
            TopicSpec(self.entry, PARTITIONS, APPEND_TIME),
            TopicSpec(self.hop, PARTITIONS, APPEND_TIME),
            TopicSpec(self.out, OUT_PARTITIONS),
            TopicSpec(self.changelog, PARTITIONS, {"cleanup.policy": "compact"}),
        ]

    def partition(self, number: int) -> Partition:
        """A fresh one."""
        return CountingPartition(self, number)


class CountingPartition:
    """One partition of it."""

    def __init__(self, leg: Counting, number: int) -> None:
        self._leg, self._number = leg, number
        self._states: dict[bytes, State] = {}
        self._changed: set[bytes] = set()
        self._outputs: list[Output] = []
        self._read_to: dict[str, int] = {}

    def restore(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        for key, value in records:
            assert value is not None
            self._states[key] = decode_state(value)

    def take(self, chunk: Chunk) -> None:
        if chunk.timestamps[0] < self._read_to.get(chunk.topic, 0):
            raise WatermarkError(f"{chunk.topic}-{self._number} {chunk.timestamps[0]} after {self._read_to}")
        for key, value in zip(chunk.keys, chunk.values, strict=True):
            assert key is not None
            assert value is not None
            state = self._states.setdefault(key, State())
            self._changed.add(key)
            if chunk.topic == self._leg.entry:
                self._take_id(key, state, int(value))
            else:
                self._take_hop(key, state, decode_hop(value))

    def _take_id(self, key: bytes, state: State, number: int) -> None:
        state.taken_in += 1
        if number in state.ids:
            return
        state.ids.append(number)
        sender = int(key[1:])
        to = key_of(neighbour(sender))
        told = encode(Hop(sender, len(state.ids), len(state.ids)))
        self._outputs.append(Output(self._leg.hop, partition_of(to, PARTITIONS), to, told))
        self._emit(key, state)

    def _take_hop(self, key: bytes, state: State, hop: Hop) -> None:
        state.taken_hop += 1
        if hop.version > state.heard.get(hop.sender, (0, 0))[0]:
            state.heard[hop.sender] = hop.version, hop.count
        self._emit(key, state)

    def _emit(self, key: bytes, state: State) -> None:
        state.rows += 1
        row = Row(state.rows, len(state.ids), sum(count for _, count in state.heard.values()))
        self._outputs.append(Output(self._leg.out, partition_of(key, OUT_PARTITIONS), key, encode(row)))

    def tick(self, now: int, read_to: Mapping[str, int]) -> None:
        for topic, time in read_to.items():
            assert self._read_to.get(topic, 0) <= time <= now + 1000, (topic, self._read_to, time, now)
        self._read_to = dict(read_to)

    def pending(self) -> bool:
        return bool(self._changed)

    def collect(self, now: int) -> tuple[Mapping[bytes, bytes | None], Sequence[Output]]:
        state: dict[bytes, bytes | None] = {key: encode(self._states[key]) for key in self._changed}
        outputs = self._outputs
        self._changed, self._outputs = set(), []
        return state, outputs
