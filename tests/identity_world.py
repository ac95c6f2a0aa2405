"""A Kafka that does to the identity leg everything that it may do, and more: any order between and within senders, messages
that come twice or turn up again much later, chunks cut anywhere, crashes.

What it keeps is what a transaction gives: state, outputs and positions of a partition move together or not at all. `kafka`
makes it keep what Kafka keeps besides: what one partition says to another comes once and in that order. Erasure rests on
that, for it forgets the versions by which one would know what is old.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from processors.dead_letters import DeadLetters
from processors.identity import IdentityPartition
from runtime.chunked.leg import Chunk, Output
from runtime.kafka import partition_of
from schemas.codec import encode
from schemas.definition import load_definitions
from schemas.erasure import Erase, Hashed
from schemas.identity import Kinds, person_id, strong_in, weak_in
from schemas.ledger import Counted
from schemas.messages import Block
from schemas.person import Assigned, Identity, PersonMessage
from schemas.resolve import NOTHING_ERASED, Erased, Resolved, Sighted, resolve
from schemas.topics import COMMANDS, IDENTITIES, IDENTITY, LEDGER, PEOPLE, TOUCHPOINTS

SECRET = b"test"
SOURCES = (TOUCHPOINTS.name, IDENTITY.name, COMMANDS.name)
_person_message = msgspec.json.Decoder(PersonMessage)
_identity = msgspec.json.Decoder(Identity)
_counted = msgspec.json.Decoder(Counted)


@dataclass(frozen=True)
class Sent:
    """A touchpoint as the collector writes it."""

    event: int
    at: int
    identifiers: tuple[tuple[str, str], ...]
    revision: int = 0
    sequence: int | None = None
    retracted: bool = False
    source: str = "web"
    content: int = 0

    def stored(self) -> dict[str, Any]:
        return {
            "event_id": f"{self.event:032x}",
            "source": self.source,
            "identifiers": dict(self.identifiers),
            "channel": "web",
            "name": f"n{self.event % 3}",
            "occurred_at": self.at,
            "content": f"{(self.event * 64 + self.revision * 8 + self.content) * 2654435761 % 2**32:08x}".ljust(
                32, "0"
            ),
            "revision": self.revision,
            "retracted": self.retracted,
        } | ({} if self.sequence is None else {"sequence": self.sequence})

    def sighted(self, kinds: Kinds) -> Sighted:
        found = dict(self.identifiers)
        return Sighted(
            self.event.to_bytes(16, "big"),
            self.at,
            strong_in(found, kinds),
            weak_in(found, kinds),
            self.revision,
            -1 if self.sequence is None else self.sequence,
            self.retracted,
            self.source in kinds.shared_sources,
        )

    def key(self, kinds: Kinds) -> str:
        return f"event:{UUID(int=self.event)}" if self.revision else self.sighted(kinds).home


class World:
    """See the module. `new` makes an empty partition; a mutant of the leg is made by another one."""

    def __init__(
        self,
        kinds: Kinds,
        seed: int,
        *,
        partitions: int = 3,
        crash: float = 0.1,
        again: float = 0.1,
        kafka: bool = False,
        new: Callable[..., IdentityPartition] = IdentityPartition,
    ) -> None:
        self.kinds, self.partitions = kinds, partitions
        self._random = random.Random(seed)
        self._crash, self._again, self._kafka, self._new = crash, 0.0 if kafka else again, kafka, new
        self._definitions = load_definitions()
        self.logs: list[dict[str, list[bytes]]] = [{topic: [] for topic in SOURCES} for _ in range(partitions)]
        self._committed = [dict.fromkeys(SOURCES, 0) for _ in range(partitions)]
        self.states: list[dict[bytes, bytes]] = [{} for _ in range(partitions)]
        self._running: list[IdentityPartition | None] = [None] * partitions
        self.flight: list[tuple[str, int, bytes, int]] = []  # with the partition that sent it, -1: nobody
        self._history: list[tuple[str, int, bytes, int]] = []
        self.people: dict[str, dict[str, Assigned]] = {}
        self.identities: dict[str, Identity] = {}
        self.announced: set[str] = set()  # identifiers that ever had a row
        self.counts: dict[tuple[str, int, str, int], dict[str, int]] = {}
        self.letters = self.steps = self.crashes = self.repeats = self.told = 0

    def send(self, sent: Iterable[Sent]) -> None:
        self._fly((TOUCHPOINTS.name, self._at(one.key(self.kinds)), encode(one.stored()), -1) for one in sent)

    def order(self, identifier: str, blocked: bool) -> None:
        """At once: of two orders the later one in the log counts, so that log has no other order than this."""
        self.logs[self._at(identifier)][COMMANDS.name].append(encode(Block(identifier, blocked)))

    def erase(self, order: Erase) -> None:
        """Likewise."""
        self.logs[self._at(order.key)][COMMANDS.name].append(encode(order))

    def _at(self, identifier: str) -> int:
        return partition_of(identifier.encode(), self.partitions)

    def _fly(self, records: Iterable[tuple[str, int, bytes, int]]) -> None:
        self.flight += records

    def run(self, turns: int | None = None, most: int = 200_000) -> None:
        """Until nothing is under way, or for so many turns. AssertionError when it never comes to rest."""
        while turns is None or turns > 0:
            turns = None if turns is None else turns - 1
            lagging = [p for p in range(self.partitions) if self._lag(p)]
            if not lagging and not self.flight:
                return
            if self.flight and (not lagging or self._random.random() < 0.6):
                self._append()
            else:
                self._work(self._random.choice(lagging))
            assert self.steps < most, "it does not come to rest"

    def _lag(self, p: int) -> bool:
        return any(len(self.logs[p][topic]) > self._committed[p][topic] for topic in SOURCES)

    def _append(self) -> None:
        at = self._random.randrange(len(self.flight))
        if self._kafka and self.flight[at][3] >= 0:
            way = self.flight[at][1], self.flight[at][3]
            at = next(number for number, (_, to, _, sender) in enumerate(self.flight) if (to, sender) == way)
        topic, partition, value, _ = record = self.flight.pop(at)
        self.logs[partition][topic].append(value)
        self._history.append(record)
        if self._random.random() < self._again:
            self.repeats += 1
            self.flight.append(self._random.choice((record, self._random.choice(self._history))))

    def resend(self, share: float) -> None:
        """Long after all is quiet, old messages turn up once more; touchpoints without a time of their own with a later one."""
        for topic, partition, value, sender in self._history:
            if self._random.random() < share:
                again = value
                if topic == TOUCHPOINTS.name and b'"revision":0' in value and self._random.random() < 0.5:
                    later = msgspec.json.decode(value)
                    again = encode(later | {"occurred_at": later["occurred_at"] + self._random.choice((1, 20))})
                self.flight.append((topic, partition, again, sender))

    def _partition(self, p: int) -> IdentityPartition:
        running = self._running[p]
        if running is None:
            letters = DeadLetters("dead_letters", self.partitions, "identity")
            running = self._new(
                p, self._definitions, secret=SECRET, partitions=self.partitions, dead_letters=letters, kinds=self.kinds
            )
            running.restore(list(self.states[p].items()))
            self._running[p] = running
        return running

    def _work(self, p: int) -> None:
        """Some chunks, and a transaction or a crash."""
        leg, positions = self._partition(p), dict(self._committed[p])
        for _ in range(self._random.choice((1, 1, 2, 4))):
            topic = self._random.choice([t for t in SOURCES if len(self.logs[p][t]) > positions[t]] or [SOURCES[0]])
            start = positions[topic]
            values = self.logs[p][topic][start : start + self._random.choice((1, 2, 10))]
            if values:
                n = len(values)
                stamps = [1_000 + start + i for i in range(n)]
                leg.take(Chunk(topic, p, list(range(start, start + n)), stamps, [None] * n, list(values)))
                positions[topic] += n
                self.steps += n
        if self._random.random() < self._crash:
            self.crashes += 1
            self._running[p] = None
            return
        state, outputs = leg.collect(0)
        for key, value in state.items():
            if value is None:
                self.states[p].pop(key, None)
            else:
                self.states[p][key] = value
        self._committed[p] = positions
        self._deliver(outputs, p)

    def _deliver(self, outputs: Sequence[Output], sender: int) -> None:
        for output in outputs:
            value = output.value or b""
            if output.topic == IDENTITY.name:
                self.told += 1
                self.flight.append((output.topic, output.partition, value, sender))
            elif output.topic == PEOPLE.name:
                said = _person_message.decode(value)
                assert isinstance(said, Assigned)
                owned = self.people.setdefault(said.person_id, {})
                known = owned.get(said.event_id)
                if known is None or (known.revision, known.move) < (said.revision, said.move):
                    owned[said.event_id] = said
                elif (known.revision, known.move) == (said.revision, said.move):
                    assert known.record == said.record, f"one version, two contents: {known} {said}"
            elif output.topic == IDENTITIES.name and output.value is None:
                self.identities.pop((output.key or b"").decode(), None)
            elif output.topic == IDENTITIES.name:
                row = _identity.decode(value)
                self.announced.add(row.identifier)
                held = self.identities.get(row.identifier)
                if held is None or held.version < row.version:
                    self.identities[row.identifier] = row
            elif output.topic == LEDGER.name:
                counted = _counted.decode(value)
                place = counted.leg, counted.partition, counted.source, counted.hour
                self.counts[place] = {str(decision): count for decision, count in counted.counts.items()}
            else:
                self.letters += 1

    # --- what it came to ------------------------------------------------------------------------------------------

    def owners(self) -> dict[bytes, list[str]]:
        """Whose each touchpoint is: one person each, if all is well."""
        owners: dict[bytes, list[str]] = {}
        for person, owned in self.people.items():
            for event, assigned in owned.items():
                if assigned.record is not None:
                    owners.setdefault(bytes.fromhex(event), []).append(person)
        return owners

    def decided(self) -> dict[str, int]:
        """The ledger, added up."""
        total: dict[str, int] = {}
        for counts in self.counts.values():
            for decision, count in counts.items():
                total[decision] = total.get(decision, 0) + count
        return total


def expected(
    sent: Iterable[Sent], kinds: Kinds, blocked: Iterable[str] = (), erased: Erased = NOTHING_ERASED
) -> tuple[dict[bytes, list[str]], Resolved]:
    """Whose each touchpoint must be, by the definition."""
    resolved = resolve([one.sighted(kinds) for one in sent], kinds, frozenset(blocked), erased)
    return {event: [person_id(owner, SECRET).hex] for event, owner in resolved.owners.items()}, resolved


def hashed(identifier: str) -> Hashed:
    """As an erasure names an identifier."""
    return Hashed(person_id(identifier, SECRET).hex, partition_of(identifier.encode(), 2**31))
