"""The state of the identity leg in another number of partitions. At rest only: nothing is under way between partitions.

All names answered, so what each partition has heard is what the names say; links are those that live touchpoints carry.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from processors.erased import MARKS, PARTNERS, SUPPRESSED, place
from processors.homes import BLOCKED, HOME
from processors.identity import COUNT, DEFINITIONS_KEY, EVENT, META_KEY
from processors.names import ACTOR, HEARD, LINK, Actor, Heard
from processors.packing import vocabularies
from processors.timeline import FACT, PREFIX, RECORD, RETRACTED, START, WAITING
from processors.whos import WHO
from runtime.chunked.slices import Gathered, part_key
from runtime.kafka import partition_of

if TYPE_CHECKING:
    from processors.rehash import Move

State = dict[bytes, bytes | None]
_pack = msgspec.msgpack.Encoder().encode
_who = msgspec.msgpack.Decoder(tuple[tuple[str, ...], tuple[str, ...], bytes])
_actor = msgspec.msgpack.Decoder(Actor)


class IdentityRehash:
    """Builds every partition's new state, then says what differs from what is there."""

    def __init__(self, states: Sequence[Gathered], partitions: int) -> None:
        self._partitions = partitions
        self._before = [self._flat(gathered) for gathered in states]
        self._after: list[State] = [{} for _ in range(partitions)]
        self._known = [vocabularies(state.values) for state in states]
        self._whos: list[dict[tuple[Any, Any], int]] = [{} for _ in range(partitions)]
        self._homes: set[int] = set()

    @staticmethod
    def _flat(gathered: Gathered) -> dict[bytes, bytes]:
        """Keys and values as they are in the changelog."""
        flat = dict(gathered.values)
        for key in gathered.values:
            flat |= {part_key(key, number): part for number, part in gathered.parts(key).items()}
        return flat

    def _at(self, identifier: str) -> int:
        return partition_of(identifier.encode(), self._partitions)

    def moves(self) -> Iterator[Move]:
        """One per partition that loses or gains something, what is written before what is removed."""
        from processors.rehash import Move

        if not any(self._before):
            return
        for state in self._before:
            for key, value in state.items():
                if key[:1] in (EVENT, ACTOR, BLOCKED):
                    self._after[self._home_of(key)][key] = value
                elif key[:1] in (MARKS, PARTNERS):
                    self._after[place(value) % self._partitions][key] = value
                elif key[:1] == SUPPRESSED:
                    for after in self._after:
                        after[key] = max(value, after.get(key) or b"")
        counter = max(int.from_bytes(state.get(META_KEY, b""), "big") for state in self._before) + 1
        for source, state in enumerate(self._before):
            self._move_homes(source, state)
            self._after[source] |= {key: value for key, value in state.items() if key[:1] == COUNT}
        self._connect(counter)
        made_with = next(state[DEFINITIONS_KEY] for state in self._before if DEFINITIONS_KEY in state)
        for number, after in enumerate(self._after):
            for vocabulary in self._known[number].values():
                after |= {vocabulary.key(code): text.encode() for code, text in enumerate(vocabulary.texts) if code}
            after[META_KEY] = (counter + 1).to_bytes(8, "big")
            after[DEFINITIONS_KEY] = made_with
            before = self._before[number]
            written: State = {key: value for key, value in after.items() if before.get(key) != value}
            if written:
                yield Move(number, number, written, {})
        for number, before in enumerate(self._before):
            removed: State = dict.fromkeys(before.keys() - self._after[number].keys())
            if removed:
                yield Move(number, number, {}, removed)

    def _home_of(self, key: bytes) -> int:
        if key[:1] == EVENT:
            return self._at(f"event:{UUID(bytes=key[1:])}")
        return partition_of(key[1:], self._partitions)

    # --- homes ----------------------------------------------------------------------------------------------------

    def _move_homes(self, source: int, state: dict[bytes, bytes]) -> None:
        whos = {int.from_bytes(key[1:], "big"): _who.decode(value) for key, value in state.items() if key[:1] == WHO}
        for key, value in state.items():
            if key[:1] == HOME:
                target = self._home_of(key)
            elif key[:1] == HOME.upper():
                target = partition_of(key[1:-4], self._partitions)
            else:
                continue
            head, records = (value[:START], value[START:]) if key[:1] == HOME else (b"", value)
            if head:
                form, at, named = PREFIX.unpack(head)
                head = PREFIX.pack(form, at, self._number(target, whos, named))
            self._after[target][key] = head + self._recode(records, source, target, whos)

    def _number(self, target: int, whos: dict[int, Any], who: int) -> int:
        """Number of a combination in its new partition."""
        if who in (0, WAITING):
            return who
        names, others, told = whos[who]
        known = self._whos[target]
        number = known.setdefault((names, others), len(known) + 1)
        self._after[target][WHO + number.to_bytes(4, "big")] = _pack((names, others, told))
        return number

    def _recode(self, records: bytes, source: int, target: int, whos: dict[int, Any]) -> bytes:
        old, new = self._known[source], self._known[target]

        def code(kind: bytes, number: int) -> int:
            return number if source == target or not number else new[kind].code(old[kind].texts[number])

        recoded = []
        for at, sequence, event, who, via, *rest, channel, name, rules, feedback, money in RECORD.iter_unpack(records):
            recoded.append(
                RECORD.pack(
                    at, sequence, event, self._number(target, whos, who), self._number(target, whos, via), *rest,
                    code(b"c", channel), code(b"n", name), code(b"r", rules), feedback,
                    (money >> 8 << 8) | code(b"m", money & 0xFF),
                )
            )  # fmt: skip
        return b"".join(recoded)

    # --- what partitions know of one another -----------------------------------------------------------------------

    def _connect(self, counter: int) -> None:
        """Links, followers, and what was heard."""
        links: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
        followers: dict[str, set[int]] = defaultdict(set)
        for number, state in enumerate(self._after):
            live = _live(state)
            for (names, _), who in self._whos[number].items():
                for name in names:
                    followers[name].add(number)
                if who in live:
                    for one, other in combinations(names, 2):
                        links[one, other][number] = links[other, one][number] = counter << 1 | 1
        for (name, other), said in links.items():
            self._after[self._at(name)][LINK + f"{name}\0{other}".encode()] = _pack(said)
            followers[name].add(self._at(other))
        names = {key[1:].decode() for state in self._after for key in state if key[:1] == ACTOR}
        # Also those that nobody follows any more: who stays in their list but has lost what it heard would not be told again.
        for name in names | followers.keys():
            lives = self._at(name)
            value = self._after[lives].get(ACTOR + name.encode())
            assert value is not None, f"{name} has not answered: not at rest"
            actor = _actor.decode(value)
            actor.followers = sorted(followers[name] - {lives})
            actor.version = counter
            self._after[lives][ACTOR + name.encode()] = _pack(actor)
            heard = _pack(Heard(counter, actor.person, actor.hops, actor.shared))
            for number in actor.followers:
                self._after[number][HEARD + name.encode()] = heard


def _live(state: State) -> set[int]:
    """The combinations that a live touchpoint of this partition carries."""
    found: set[int] = set()
    for key, value in state.items():
        if key[:1] in (HOME, HOME.upper()):
            records = (value or b"")[START if key[:1] == HOME else 0 :]
            found.update(r[3] for r in RECORD.iter_unpack(records) if r[8] & (FACT | RETRACTED) == FACT)
    return found
