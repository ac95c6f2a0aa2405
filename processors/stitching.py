"""The stitch leg: people's touchpoints in, journeys out. One `StitchPartition` holds the people of one partition.

Per person it keeps the set of their touchpoints, packed (`packing.py`), each at its highest version, so duplicates, retries
and any order of arrival end in the same state. A touchpoint that is new and last is appended without decoding the rest;
everything else is folded again from the whole set. Rows are absolute and carry a version that only rises.

A row is written at once when a journey starts, ends, changes its stage or its status, otherwise at most once a second. Outcomes
are told as changes of what the person's journeys come to: what was told before follows from the state, which keeps one bit for
the silence that lasts.

Who was silent for longer than the horizon leaves the state (`horizon.py`); what concerns them and comes later is told as late.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from struct import Struct

import msgspec

from processors import deadlines, fold, outcomes, packing, reading
from processors.dead_letters import DeadLetters, decode_each
from processors.deadlines import QUIET, Calendar
from processors.horizon import HORIZON, Horizon, closed_at, is_mark
from processors.outcomes import Telling
from processors.packing import (
    DROPPED,
    FORMAT,
    GONE,
    HISTORICAL,
    NO_JOURNEY,
    ORDER_SIZE,
    RECORD,
    SIZE,
    TOO_MANY,
)
from processors.reading import Reading
from runtime.chunked.errors import Misconfigured
from runtime.chunked.leg import Chunk, Output
from runtime.chunked.slices import SLICE, Gathered, part_key, slices
from schemas import topics
from schemas.codec import encode
from schemas.definition import Definition
from schemas.late import late
from schemas.person import Assigned, FoldRecord, PersonMessage, ReadTo

BEAT = 1_000  # ms between rows of a journey that only grew
AT_ONCE = 2_000  # people whose deadlines pass, or who leave, in one transaction: after downtime there may be very many
_decoder = msgspec.json.Decoder(PersonMessage)
_VERSION = Struct(">IH")


class Meta(msgspec.Struct):
    """What a partition remembers of itself, in its changelog under the key `m`."""

    definitions: str  # which definitions the state was folded with
    counter: int = 0  # rows emitted, the low 48 bits of their version
    read_to: dict[int, int] = {}
    beat: int = 0  # which rows are owed: those of the people whose head names the present beat
    deadlines_at: int = 0  # up to when deadlines have passed: `read_to`, unless they wait
    waits_until: int = 0  # of the watermark
    outcomes: bool = False  # everybody's outcomes have been told; a release that told none wrote it otherwise
    replayed_until: int = 0  # of a replay: up to when the log was there when it began, and nobody leaves
    news_since: int = 0  # stands for the news of people whose head, of the release before, has none


class DefinitionsChanged(Misconfigured):
    """The state belongs to other definitions than the configured ones."""


class FormatUnknown(Misconfigured):
    """The state is in a format that this release does not read."""


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
        outcomes_topic: str = topics.OUTCOMES.name,
        late_topic: str = topics.LATE.name,
        outage_grace: int = deadlines.OUTAGE_GRACE,
        horizon: int = HORIZON,
        replayed_until: int = 0,
    ) -> None:
        """`journeys`, `outcomes_topic` and `late_topic` are topics; `outage_grace` and `horizon` in ms. Nobody leaves before
        the watermark has come to `replayed_until` (ms UTC), or to what the state remembers of it."""
        self._number = number
        self._definitions = tuple(definitions)
        self._partitions = partitions
        self._max = max_touchpoints
        self._topic = journeys
        self._outcomes_topic, self._late_topic = outcomes_topic, late_topic
        self._grace = outage_grace
        self._dead_letters = dead_letters
        self._base = generation << 48
        self._meta = Meta(definitions=fingerprint(definitions), outcomes=True, replayed_until=replayed_until)
        # Everything that arrived up to then has been read, ms UTC; 0 until every identity partition has spoken.
        self.as_of = 0
        self._head = packing.head(len(definitions))
        self._nobody = FORMAT + self._head.pack(*fold.NO_HEAD * len(definitions), 0, 0, 0)
        self._horizon = Horizon(horizon, definitions, self._head.size)
        self._removed: dict[bytes, bytes | None] = {}  # keys of the state that go
        self._gathered: Gathered | None = Gathered()
        self._people: dict[bytes, bytes] = {}
        self._use({})
        self._changed: dict[bytes, int] = {}  # person → first changed byte
        self._urgent: dict[bytes, int] = {}  # person → newest arrival that a row must answer to
        self._owed: dict[bytes, int] = {}
        self._rows: list[Output] = []
        self._telling = Telling()
        self._calendar = Calendar()
        self._untold: list[bytes] = []  # whose outcomes have still to be told, all of them
        self._least_patience = min(definition.least_patience for definition in self._definitions)
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
            self._meta.deadlines_at = self._meta.deadlines_at or self.as_of
        configured = fingerprint(self._definitions)
        if self._meta.definitions != configured:
            raise DefinitionsChanged(
                f"the state of partition {self._number} was folded with other journey definitions ({self._meta.definitions}) "
                f"than the configured ones ({configured}); a change of definitions needs a new generation"
            )
        self._use(state)
        for key, value in state.items():
            if key[:1] == b"p":
                self._take_over(key[1:], value)
        if not self._meta.outcomes:
            self._untold = sorted(self._people)

    def _take_over(self, person: bytes, value: bytes) -> None:
        """One person of the state. Raises FormatUnknown."""
        if value[:1] != FORMAT:
            if not self._meta.news_since:
                self._meta.news_since, self._read_to_changed = self.as_of, True
            try:
                value = packing.present(value, self._meta.news_since)
            except packing.UnknownFormat as error:
                raise FormatUnknown(
                    f"the state of partition {self._number} is of a format that this release does not read ({error}); "
                    "start the release that wrote it, or build the state anew (`desireline replay start`)"
                ) from error
        self._people[person] = value
        if packing.owed_at(value, self._meta.beat):
            self._owed[person] = self.as_of
        if alarm := packing.alarm(value):
            self._calendar.add(alarm, person)
        self._horizon.expect(person, value)

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
            before, self.as_of = self.as_of, self._least()
            meta = self._meta
            meta.deadlines_at, meta.waits_until = deadlines.passed(
                meta.deadlines_at, meta.waits_until, before, self.as_of, self._grace
            )

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
        leaving, first = self._horizon.reached(self._silent_until()), 1 + SIZE
        for place, message in messages:
            if type(message) is ReadTo:
                self._read(message.partition, message.at)
                leaving = self._horizon.reached(self._silent_until())
                if leaving:  # what came before is news of before
                    self._revise_all(others)
                continue
            try:
                person, event, record = fromhex(message.person_id), fromhex(message.event_id), message.record
                if record is not None and len(record.rules) != len(self._definitions):
                    raise ValueError(f"{len(record.rules)} rules for {len(self._definitions)} journey definitions")
            except ValueError as error:
                self._rows += self._dead_letters.undecodable(chunk, place, error)
                continue
            value = people.get(person, nobody)
            if leaving and self._horizon.leaves(value, self._silent_until()):
                self._leave(person)
                value = people.get(person, nobody)
            end = len(value) - size
            if record is not None and event not in value and (end < most or value[-1] & TOO_MANY):
                packed = self._pack(record, event, message.revision, message.move)
                if end == 1 or packed[:ORDER_SIZE] > value[end - SIZE : end - SIZE + ORDER_SIZE]:
                    if end < changed.get(person, end + 1):
                        changed[person] = end
                    people[person] = self._append(person, value, end, packed, record, message.arrived)
                    if end <= first and not self._horizon.leaves_at(value):
                        self._horizon.expect(person, people[person])
                    continue
            others.setdefault(person, []).append((event, message))
        self._revise_all(others)

    def _revise_all(self, others: dict[bytes, list[tuple[bytes, Assigned]]]) -> None:
        for person, said in others.items():
            self._revise(person, said)
        others.clear()

    def _silent_until(self) -> int:
        """Who had no news for the horizon before this leaves (ms UTC); 0: nobody may leave yet."""
        meta = self._meta
        return 0 if self._untold or meta.deadlines_at < meta.replayed_until else meta.deadlines_at

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
        heads = self._head.unpack_from(value, end)
        news = heads[-3] if heads[-3] > arrived else arrived
        if value[-1] & TOO_MANY:
            return b"".join((value[:end], packed, self._head.pack(*heads[:-3], news, *heads[-2:])))
        index = (end - 1) // SIZE
        silent = record.at - int.from_bytes(value[end - SIZE : end - SIZE + 8], "big") if index else 0
        long = silent > self._least_patience
        now: list[int] = []
        due, urgent = 0, False
        for place, definition in enumerate(self._definitions):
            before = heads[3 * place : 3 * place + 3]
            after = fold.step(before, record.rules[place], index, silent, definition)
            if after != before:
                urgent = True
                if before[0] not in (NO_JOURNEY, after[0]):
                    self._emit(person, place, value[1 + before[0] * SIZE : end], arrived)
                if long or after[1] != before[1] or (after[1] and after[0] != before[0]):
                    self._happened(person, place, (before, after), value, packed, arrived)
            elif long and self._happened(person, place, (before, after), value, packed, arrived):
                urgent = True
            mine = fold.due_at(after, record.at, definition)
            if mine and not 0 < due < mine:
                due = mine
            now += after
        if due:
            if due < arrived:
                due = arrived + QUIET
            if not 0 < heads[-2] <= due:
                self._calendar.add(due, person)
        if urgent:
            self._urgent[person] = arrived
            self._owed.pop(person, None)
            return b"".join((value[:end], packed, self._head.pack(*now, news, due, 0)))
        if person not in self._urgent:
            self._owed[person] = arrived
        return b"".join(
            (
                value[:end],
                packed,
                self._head.pack(*now, news, due, 0 if person in self._urgent else packing.owed(self._meta.beat)),
            )
        )

    def _happened(
        self,
        person: bytes,
        place: int,
        heads: tuple[fold.Head, fold.Head],
        value: bytes,
        packed: bytes,
        arrived: int,
    ) -> bool:
        """Tell what the newest touchpoint changes of outcomes; whether it does. `value` is the person's before it."""
        told = False
        before, alarm = value[1 : len(value) - self._head.size], packing.alarm(value)
        definition = self._definitions[place]
        for key, happened, historical, wrong in outcomes.newest(
            person, definition, place, heads, before, packed, arrived, alarm
        ):
            told = True
            say = self._telling.retract if wrong else self._telling.tell
            say(person, key, happened, historical=historical)
        return told

    def _revise(self, person: bytes, said: Iterable[tuple[bytes, Assigned]]) -> None:
        """Anything but new last touchpoints: out of order, newer versions, gone, or nothing new at all.

        All that a chunk says of a person at once, so that a person with many touchpoints is folded anew once and not for each.
        """
        value = self._people.get(person, self._nobody)
        old = [value[at : at + SIZE] for at in range(1, len(value) - self._head.size, SIZE)]
        newest = {packing.event(record): record for record in old}
        closed, arrived = closed_at(value), 0
        for event, message in said:
            version = (message.revision, message.move)
            known = newest.get(event)
            if known is not None and _VERSION.unpack_from(known, ORDER_SIZE) >= version:
                continue
            record = message.record
            unknown = closed >= 0 and (known is None or is_mark(known))
            is_late = unknown if record is None else record.at <= closed
            if is_late:
                self._rows.append(
                    Output(self._late_topic, self._number, message.person_id.encode(), encode(late(message, closed)))
                )
                if known is None and record is not None:
                    continue  # nothing is kept of it
            if record is None or is_late:
                newest[event] = RECORD.pack(0, 0, event, *version, 0, 0, GONE, 0, 0)
            else:
                newest[event] = self._pack(record, event, *version)
            arrived = max(arrived, message.arrived)
        records = sorted(newest.values())
        if records == old:
            return
        first = next((place for place, record in enumerate(old) if record != records[place]), len(old))
        self._changed[person] = min(1 + first * SIZE, self._changed.get(person, 1 + first * SIZE))
        alarm, left = packing.alarm(value), self._horizon.leaves_at(value)
        before, was = self._journeys_of(person, value[1 : len(value) - self._head.size]), self._flags(value)
        told = reading.told(before, was, self._definitions)
        joined = b"".join(records)
        after = self._journeys_of(person, joined)
        now = reading.flags(after, told, self._definitions)
        self._people[person] = value = reading.value(joined, after, now, self._head, self._definitions, arrived, value)
        if not 0 < alarm <= packing.alarm(value) and packing.alarm(value):
            self._calendar.add(packing.alarm(value), person)
        if not 0 < left <= self._horizon.leaves_at(value):
            self._horizon.expect(person, value)
        happened = reading.differing(before, was, after, now, self._definitions)
        fresh, gone = outcomes.changes(happened, reading.differing(after, now, before, was, self._definitions))
        for key, one in gone.items():
            self._telling.retract(person, key, one, historical=told.get(key, False))
        for key, one in fresh.items():
            historical = told.get(key, one.past < arrived)
            self._telling.tell(person, key, one, historical=historical, before=happened.get(key))
        for ident, journey in before.journeys.items():
            if ident not in after.journeys:
                definition = self._definitions[journey.place]
                row = fold.tombstone(person, definition, ident, journey.at[0], arrived, self._version())
                self._rows.append(Output(self._topic, self._number, row.person_id.encode(), encode(row)))
        owed = person in self._owed or person in self._urgent
        self._owed.pop(person, None)
        self._urgent.pop(person, None)
        for ident, journey in after.journeys.items():
            same = before.journeys.get(ident)
            if owed or same is None or same.records != journey.records:
                if journey.present:  # what follows in this transaction may change it once more
                    self._urgent[person] = arrived
                else:
                    self._emit(person, journey.place, journey.records, arrived)

    def _journeys_of(self, person: bytes, records: bytes) -> Reading:
        return reading.read(person, records, self._definitions, self._texts, self._max)

    def _flags(self, value: bytes) -> Sequence[int]:
        """Flags of the heads, by definition."""
        return self._head.unpack_from(value, len(value) - self._head.size)[1:-3:3]

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
        return bool(
            self._changed
            or self._urgent
            or self._rows
            or self._read_to_changed
            or self._untold
            or self._removed
            or self._calendar.reached(self._meta.deadlines_at)
            or self._horizon.reached(self._silent_until())
        )

    def collect(self, now: int) -> tuple[Mapping[bytes, bytes | None], Sequence[Output]]:
        people = self._people
        if self._untold:
            self._tell_all()
        else:
            for person in self._calendar.take(self._meta.deadlines_at, AT_ONCE, self._alarm_of):
                self._fall_silent(person)
            for person in self._horizon.take(self._silent_until(), AT_ONCE, self._value_of):
                self._leave(person)
        for person, arrived in self._urgent.items():
            self._emit_open(person, arrived)
        self._urgent = {}
        state, self._removed = self._removed, {}
        for person, changed_from in self._changed.items():
            value = people[person]
            if len(value) <= SLICE:
                state[b"p" + person] = value
            else:
                state |= slices(b"p" + person, value, changed_from)
        self._changed = {}
        for vocabulary in self._vocabularies.values():
            state |= vocabulary.take_fresh()
        for key, told in self._telling.take():
            outcome = outcomes.row(key, told, self._definitions[told.happened.place], self._texts, self._version())
            self._rows.append(Output(self._outcomes_topic, self._number, outcome.person_id.encode(), encode(outcome)))
        if state or self._rows or self._read_to_changed:
            state[b"m"] = encode(self._meta)
            self._read_to_changed = False
        rows, self._rows = self._rows, []
        return state, rows

    def _value_of(self, person: bytes) -> bytes:
        return self._people.get(person, self._nobody)

    def _alarm_of(self, person: bytes) -> int:
        return packing.alarm(self._value_of(person))

    def _leave(self, person: bytes) -> None:
        """What is kept of a person goes, but for a fence. All their journeys have ended: what is owed of them is told first."""
        if packing.alarm(self._people[person]):
            self._fall_silent(person)
        arrived = self._urgent.pop(person, self._owed.pop(person, None))
        if arrived is not None:
            self._emit_open(person, arrived)
        value, key = self._people[person], b"p" + person
        for number in range(1, -(-len(value) // SLICE)):
            self._removed[part_key(key, number)] = None
        if remains := self._horizon.remains(value):
            nothing = self._head.pack(*fold.NO_HEAD * len(self._definitions), packing.news(value), 0, 0)
            self._people[person] = b"".join((FORMAT, remains, nothing))
            self._changed[person] = 1
        else:
            del self._people[person]
            self._changed.pop(person, None)
            self._removed[key] = None

    def _fall_silent(self, person: bytes, *, long_ago: bool = False) -> None:
        """Tell the drop-offs of a person whose deadlines have passed, and set the next alarm."""
        value, now = self._people[person], self._meta.deadlines_at
        end = len(value) - self._head.size
        heads = list(self._head.unpack_from(value, end))
        last, alarm, due = value[end - SIZE : end], heads[-2], 0
        for place, definition in enumerate(self._definitions):
            start, flags, stage = heads[3 * place : 3 * place + 3]
            deadline = fold.due_at((start, flags, stage), int.from_bytes(last[:8], "big"), definition)
            if not deadline or flags & DROPPED:
                continue
            if deadline >= now:
                due = min(due or deadline, deadline)
                continue
            historical = long_ago or deadlines.historical(deadline, alarm)
            heads[3 * place + 1] |= DROPPED | (HISTORICAL if historical else 0)
            ident, _ = fold.identify(person, definition, value[1 + start * SIZE :])
            dropped = outcomes.touched(place, stage, last, 0, deadline)
            self._telling.tell(person, (ident, "dropped_off", deadline), dropped, historical=historical)
            if (
                not historical and person not in self._urgent
            ):  # else its row is written, or was when it was late already
                self._emit(person, place, value[1 + start * SIZE : end], now)
        heads[-2] = due
        if due:
            self._calendar.add(due, person)
        self._people[person] = value[:end] + self._head.pack(*heads)
        self._changed[person] = min(end, self._changed.get(person, end))

    def _tell_all(self) -> None:
        """Tell the outcomes of people of whom a release before told none, some at a time."""
        for person in self._untold[-AT_ONCE:]:
            value = self._people[person]
            if packing.alarm(value):
                self._fall_silent(person, long_ago=True)
                value = self._people[person]
            whole = self._journeys_of(person, value[1 : len(value) - self._head.size])
            nothing = self._journeys_of(person, b"")
            flags = self._flags(value)
            for key, happened in reading.differing(whole, flags, nothing, flags, self._definitions).items():
                self._telling.tell(person, key, happened, historical=True)
        del self._untold[-AT_ONCE:]
        if not self._untold:
            self._meta.outcomes = self._read_to_changed = True

    def _emit_open(self, person: bytes, arrived: int) -> None:
        """The rows of the journeys that a person's last touchpoint belongs to."""
        value = self._people[person]
        end = len(value) - self._head.size
        heads = self._head.unpack_from(value, end)
        for place in range(len(self._definitions)):
            if heads[3 * place] != NO_JOURNEY:
                self._emit(person, place, value[1 + heads[3 * place] * SIZE : end], arrived)

    def _emit(self, person: bytes, place: int, records: bytes, arrived: int) -> None:
        definition = self._definitions[place]
        as_of = max(self._meta.deadlines_at, arrived)
        row = fold.journey(person, place, definition, records, self._texts, as_of, arrived, self._version())
        self._rows.append(Output(self._topic, self._number, row.person_id.encode(), encode(row)))

    def _version(self) -> int:
        self._meta.counter += 1
        return self._base + self._meta.counter


def fingerprint(definitions: Sequence[Definition]) -> str:
    """Name and version of each definition: what a state was folded with."""
    return ",".join(f"{definition.name}@{definition.version}" for definition in definitions)
