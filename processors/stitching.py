"""The stitch leg: people's touchpoints in, journeys out. One `StitchPartition` holds the people of one partition.

Per person it keeps the set of their touchpoints, packed (`packing.py`), each at its highest version, so duplicates, retries
and any order of arrival end in the same state. A touchpoint that is new and last is appended without decoding the rest;
everything else is folded again from the whole set. Rows are absolute and carry a version that only rises.

A row is written at once when a journey starts, ends, changes its stage or completes, otherwise at most once a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from struct import Struct

import msgspec

from processors import fold, packing
from processors.dead_letters import DeadLetters, decode_each
from processors.packing import FORMAT, GONE, NO_JOURNEY, ORDER_SIZE, RECORD, SIZE, TOO_MANY
from runtime.chunked.errors import Misconfigured
from runtime.chunked.leg import Chunk, Output
from runtime.chunked.slices import SLICE, Gathered, slices
from schemas.codec import encode
from schemas.definition import Definition
from schemas.person import Assigned, FoldRecord, PersonMessage, ReadTo

BEAT = 1_000  # ms between rows of a journey that only grew
_decoder = msgspec.json.Decoder(PersonMessage)
_VERSION = Struct(">IH")
_RULES_AT = ORDER_SIZE + 10


class Meta(msgspec.Struct):
    """What a partition remembers of itself, in its changelog under the key `m`."""

    definitions: str  # which definitions the state was folded with
    counter: int = 0  # rows emitted, the low 48 bits of their version
    read_to: dict[int, int] = {}
    beat: int = 0  # which rows are owed: those of the people whose head names the present beat


class DefinitionsChanged(Misconfigured):
    """The state belongs to other definitions than the configured ones."""


class StitchPartition:
    """See the module. Implements `runtime.chunked.leg.Partition`."""

    def __init__(
        self,
        number: int,
        definitions: Sequence[Definition],
        *,
        generation: int,
        partitions: int,
        max_touchpoints: int,
        journeys: str,
        dead_letters: DeadLetters,
    ) -> None:
        self._number = number
        self._definitions = tuple(definitions)
        self._partitions = partitions
        self._max = max_touchpoints
        self._topic = journeys
        self._dead_letters = dead_letters
        self._base = generation << 48
        self._meta = Meta(definitions=fingerprint(definitions))
        # Everything that arrived up to then has been read, ms UTC; 0 until every identity partition has spoken.
        self.as_of = 0
        self._head = packing.head(len(definitions))
        self._nobody = FORMAT + self._head.pack(*fold.NO_HEAD * len(definitions), 0, 0)
        self._gathered: Gathered | None = Gathered()
        self._people: dict[bytes, bytes] = {}
        self._use({})
        self._changed: dict[bytes, int] = {}  # person → first changed byte
        self._urgent: dict[bytes, int] = {}  # person → newest arrival that a row must answer to
        self._owed: dict[bytes, int] = {}
        self._rows: list[Output] = []
        self._beat = 0
        self._read_to_changed = False

    # --- state ---------------------------------------------------------------------------------------------------

    def restore(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        assert self._gathered is not None, "restore comes before everything else"
        for key, value in records:
            self._gathered.put(key, value)

    def _open(self) -> None:
        """Take over what was gathered from the changelog."""
        assert self._gathered is not None
        state = self._gathered.whole()
        self._gathered = None
        if b"m" in state:
            self._meta = msgspec.json.decode(state[b"m"], type=Meta)
            self.as_of = self._least()
        configured = fingerprint(self._definitions)
        if self._meta.definitions != configured:
            raise DefinitionsChanged(
                f"the state of partition {self._number} was folded with other journey definitions ({self._meta.definitions}) "
                f"than the configured ones ({configured}); a change of definitions needs a new generation"
            )
        self._use(state)
        for key, value in state.items():
            if key[:1] == b"p":
                self._people[key[1:]] = value
                if packing.owed_at(value, self._meta.beat):
                    self._owed[key[1:]] = self.as_of

    def _use(self, state: Mapping[bytes, bytes]) -> None:
        """Take the vocabularies from the state."""
        self._vocabularies = packing.vocabularies(state)
        self._channels, self._names, self._rules, self._currencies = self._vocabularies.values()
        self._meaning: list[list[int]] = [[0] for _ in self._definitions]  # by code of the rules
        self._rule_codes: dict[tuple[int, ...], int] = {}
        for code, text in enumerate(self._rules.texts[1:], 1):
            self._number_of(code, list(bytes.fromhex(text)))
        self._texts = fold.Texts(self._channels.texts, self._names.texts, self._meaning, self._currencies.texts)

    def _read(self, partition: int, at: int) -> None:
        """Partition `partition` of the identity leg has read so far."""
        read_to = self._meta.read_to
        if partition < self._partitions and at > read_to.get(partition, -1):
            read_to[partition] = at
            self._read_to_changed = True
            self.as_of = self._least()

    def _least(self) -> int:
        read_to = self._meta.read_to
        return min(read_to.values()) if len(read_to) == self._partitions else 0

    # --- input ---------------------------------------------------------------------------------------------------

    def take(self, chunk: Chunk) -> None:
        if self._gathered is not None:
            self._open()
        messages, refused = decode_each(_decoder, chunk, self._dead_letters)
        self._rows += refused
        people, nobody, size, most = self._people, self._nobody, self._head.size, self._max * SIZE
        fromhex, changed = bytes.fromhex, self._changed
        others: dict[bytes, list[tuple[bytes, Assigned]]] = {}
        for place, message in messages:
            if type(message) is ReadTo:
                self._read(message.partition, message.at)
                continue
            try:
                person, event, record = fromhex(message.person_id), fromhex(message.event_id), message.record
                if record is not None and len(record.rules) != len(self._definitions):
                    raise ValueError(f"{len(record.rules)} rules for {len(self._definitions)} journey definitions")
            except ValueError as error:
                self._rows += self._dead_letters.undecodable(chunk, place, error)
                continue
            value = people.get(person, nobody)
            end = len(value) - size
            if record is not None and event not in value and (end < most or value[-1] & TOO_MANY):
                packed = self._pack(record, event, message.revision, message.move)
                if end == 1 or packed[:ORDER_SIZE] > value[end - SIZE : end - SIZE + ORDER_SIZE]:
                    if end < changed.get(person, end + 1):
                        changed[person] = end
                    people[person] = self._append(person, value, end, packed, record, message.arrived)
                    continue
            others.setdefault(person, []).append((event, message))
        for person, said in others.items():
            self._revise(person, said)

    def _pack(self, record: FoldRecord, event: bytes, revision: int, move: int) -> bytes:
        rules = tuple(record.rules)
        code = self._rule_codes.get(rules)
        if code is None:
            code = self._rules.code(bytes(rules).hex())
            if code:  # 0: the vocabulary is full
                self._number_of(code, list(rules))
        money = 0
        if record.currency:
            money = record.amount << 8 | self._currencies.code(record.currency)
        channels, names = self._channels, self._names
        return RECORD.pack(
            record.at,
            record.sequence + 1,
            event,
            revision,
            move,
            channels.codes.get(record.channel) or channels.code(record.channel),
            names.codes.get(record.name) or names.code(record.name),
            code,
            packing.pack_feedback(record.feedback, record.score, record.sentiment) if record.feedback else 0,
            money,
        )

    def _number_of(self, code: int, rules: list[int]) -> None:
        """Remember what a code of the rules' vocabulary means."""
        for meaning, number in zip(self._meaning, rules, strict=True):
            meaning.extend([0] * (code + 1 - len(meaning)))
            meaning[code] = number
        self._rule_codes[tuple(rules)] = code

    def _append(self, person: bytes, value: bytes, end: int, packed: bytes, record: FoldRecord, arrived: int) -> bytes:
        """The newest touchpoint of a person, last in order."""
        if value[-1] & TOO_MANY:
            return b"".join((value[:end], packed, value[end:]))
        heads = self._head.unpack_from(value, end)
        index = (end - 1) // SIZE
        silent = record.at - int.from_bytes(value[end - SIZE : end - SIZE + 8], "big") if index else 0
        now: list[int] = []
        due, urgent = 0, False
        for place, definition in enumerate(self._definitions):
            before = heads[3 * place : 3 * place + 3]
            after = fold.step(before, record.rules[place], index, silent, definition)
            if after != before:
                urgent = True
                if before[0] not in (NO_JOURNEY, after[0]):
                    self._emit(person, place, value[1 + before[0] * SIZE : end], arrived)
            mine = fold.due_at(after, record.at, definition)
            if mine and not 0 < due < mine:
                due = mine
            now += after
        if urgent:
            self._urgent[person] = arrived
            self._owed.pop(person, None)
            return b"".join((value[:end], packed, self._head.pack(*now, due, 0)))
        if person not in self._urgent:
            self._owed[person] = arrived
        return b"".join(
            (
                value[:end],
                packed,
                self._head.pack(*now, due, 0 if person in self._urgent else packing.owed(self._meta.beat)),
            )
        )

    def _revise(self, person: bytes, said: Iterable[tuple[bytes, Assigned]]) -> None:
        """Anything but new last touchpoints: out of order, newer versions, gone, or nothing new at all.

        All that a chunk says of a person at once, so that a person with many touchpoints is folded anew once and not for each.
        """
        value = self._people.get(person, self._nobody)
        old = [value[at : at + SIZE] for at in range(1, len(value) - self._head.size, SIZE)]
        newest = {packing.event(record): record for record in old}
        arrived = 0
        for event, message in said:
            version = (message.revision, message.move)
            known = newest.get(event)
            if known is not None and _VERSION.unpack_from(known, ORDER_SIZE) >= version:
                continue
            if message.record is None:
                newest[event] = RECORD.pack(0, 0, event, *version, 0, 0, GONE, 0, 0)
            else:
                newest[event] = self._pack(message.record, event, *version)
            arrived = max(arrived, message.arrived)
        records = sorted(newest.values())
        if records == old:
            return
        before, after = self._spans(person, old), self._spans(person, records)
        first = next((place for place, record in enumerate(old) if record != records[place]), len(old))
        self._changed[person] = min(1 + first * SIZE, self._changed.get(person, 1 + first * SIZE))
        self._people[person] = self._whole(records)
        for ident, (place_of, key_start, _) in before.items():
            if ident not in after:
                row = fold.tombstone(person, self._definitions[place_of], ident, key_start, arrived, self._version())
                self._rows.append(Output(self._topic, self._number, row.person_id.encode(), encode(row)))
        for ident, (place_of, _, content) in after.items():
            if ident not in before or before[ident][2] != content or person in self._owed or person in self._urgent:
                self._emit(person, place_of, content, arrived)
        self._owed.pop(person, None)
        self._urgent.pop(person, None)

    def _spans(self, person: bytes, records: list[bytes]) -> dict[bytes, tuple[int, int, bytes]]:
        """Journeys by id: place of their definition, start in ms, their records."""
        first, at, numbers = self._live(records)
        found: dict[bytes, tuple[int, int, bytes]] = {}
        if len(records) - first <= self._max:
            for place, definition in enumerate(self._definitions):
                for start, end in fold.spans(at, numbers[place], first, definition)[0]:
                    content = b"".join(records[start:end])
                    ident, started_at = fold.identify(person, definition, content)
                    found[ident] = place, started_at, content
        return found

    def _live(self, records: list[bytes]) -> tuple[int, list[int], list[list[int]]]:
        """Number of the first record that is not gone (those are in front), times of all, what they mean by definition."""
        rules = [int.from_bytes(r[_RULES_AT : _RULES_AT + 2], "big") for r in records]
        numbers = [[meaning[code] if code != GONE else 0 for code in rules] for meaning in self._meaning]
        first = next((i for i, code in enumerate(rules) if code != GONE), len(rules))
        return first, [int.from_bytes(r[:8], "big") for r in records], numbers

    def _whole(self, records: list[bytes]) -> bytes:
        """A person's value from their records: heads computed anew."""
        first, at, numbers = self._live(records)
        now: list[int] = []
        due = 0
        too_many = len(records) - first > self._max
        for place, definition in enumerate(self._definitions):
            head = fold.NO_HEAD
            if first < len(records) and not too_many:
                head = fold.spans(at, numbers[place], first, definition)[1]
                mine = fold.due_at(head, at[-1], definition)
                due = min(due or mine, mine or due)
            now += head
        return b"".join((FORMAT, *records, self._head.pack(*now, due, TOO_MANY if too_many else 0)))

    # --- output --------------------------------------------------------------------------------------------------

    def tick(self, now: int, read_to: Mapping[str, int]) -> None:
        if self._gathered is not None:
            self._open()
        if now - self._beat >= BEAT:
            self._beat = now
            if self._owed:
                self._urgent |= self._owed
                self._owed.clear()
                self._meta.beat += 1  # what was owed is written with the next transaction, and this with it

    def pending(self) -> bool:
        return bool(self._changed or self._urgent or self._rows or self._read_to_changed)

    def collect(self, now: int) -> tuple[Mapping[bytes, bytes | None], Sequence[Output]]:
        size, people = self._head.size, self._people
        for person, arrived in self._urgent.items():
            value = people[person]
            end = len(value) - size
            heads = self._head.unpack_from(value, end)
            for place in range(len(self._definitions)):
                if heads[3 * place] != NO_JOURNEY:
                    self._emit(person, place, value[1 + heads[3 * place] * SIZE : end], arrived)
        self._urgent = {}
        state: dict[bytes, bytes | None] = {}
        for person, changed_from in self._changed.items():
            value = people[person]
            if len(value) <= SLICE:
                state[b"p" + person] = value
            else:
                state |= slices(b"p" + person, value, changed_from)
        self._changed = {}
        for vocabulary in self._vocabularies.values():
            state |= vocabulary.take_fresh()
        if state or self._rows or self._read_to_changed:
            state[b"m"] = encode(self._meta)
            self._read_to_changed = False
        rows, self._rows = self._rows, []
        return state, rows

    def _emit(self, person: bytes, place: int, records: bytes, arrived: int) -> None:
        definition = self._definitions[place]
        row = fold.journey(person, place, definition, records, self._texts, self.as_of, arrived, self._version())
        self._rows.append(Output(self._topic, self._number, row.person_id.encode(), encode(row)))

    def _version(self) -> int:
        self._meta.counter += 1
        return self._base + self._meta.counter


def fingerprint(definitions: Sequence[Definition]) -> str:
    """Name and version of each definition: what a state was folded with."""
    return ",".join(f"{definition.name}@{definition.version}" for definition in definitions)
