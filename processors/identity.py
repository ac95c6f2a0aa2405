"""The identity leg: whose is each touchpoint? One `IdentityPartition` is everything that lives in one partition.

It takes touchpoints, what the other partitions say, and what operators order; it recognises duplicates and conflicts,
evaluates the rules of the journey definitions once, and says how far it has read (`ReadTo`). What it says to itself it takes
at once; what it says to others goes through the topic `identity` in the transaction of the state that it follows from.
The definition of what it computes is `schemas/resolve.py`.

State, by the first letter of its keys: h homes (H further segments), n combinations of names, a names that live here, l
their links, k what was heard of others, b blocked devices, e events with revisions, x, g and p what erasures keep, c counts of
the ledger, v vocabularies, m the counter of what was said, d the definitions that all of it was made with.
"""

from __future__ import annotations

import struct
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec

from processors.coding import Coding
from processors.counting import Carried, Counting
from processors.dead_letters import DeadLetters, decode_each
from processors.erased import MARKS, PARTNERS, SUPPRESSED, Erasures
from processors.homes import BLOCKED, ERASED, HOME, LAST_REVISION, Fact, Homes
from processors.names import ACTOR, HEARD, LINK, Names
from processors.seen import Ordered, Seen, ordered, touchpoint_decoder
from processors.stitching import DefinitionsChanged
from processors.stored import as_appended
from processors.whos import WHO, Whos
from runtime.chunked.errors import Misconfigured
from runtime.chunked.leg import Chunk, Output
from runtime.chunked.slices import Gathered
from runtime.kafka import partition_of, place_of
from schemas.codec import encode
from schemas.definition import Definition, Rules, content_hash
from schemas.erasure import Erase, Gone, Hashed
from schemas.identity import DEFAULT_KINDS, Kinds, hasher
from schemas.ledger import HOUR, Decision
from schemas.messages import Advert, Command, Erased, Follow, Link, Message, Order, Revised, Sighting, Unfollow
from schemas.person import Assigned, FoldRecord, Identity, ReadTo
from schemas.topics import IDENTITIES, IDENTITY, LEDGER, PEOPLE, TOUCHPOINTS, Generation

FORMAT = b"\x03"
READ = (FORMAT, b"\x02")  # the release before did not know of erasures, so it must not go on with what this one wrote
DEFINITIONS_KEY, META_KEY, EVENT, COUNT = b"d", b"m", b"e", b"c"
MAX_REMEMBERED = 10_000
READ_TO_EVERY = 250  # ms
CLOSED = 2**31  # revision of an event that was erased: above all that a touchpoint may have
NOWHERE = ""  # home of an event that has none: it was erased
UNKNOWN = "unknown"  # source of what cannot be decoded
_CONTENT = struct.Struct(">I12x")


class _Event(msgspec.Struct, array_like=True):
    """The newest revision of an event that has some: its content's hash, and the home that it was sent to; whether the
    ledger has the event as `stored`."""

    revision: int
    content: int
    home: str
    stored: bool = True


_messages = msgspec.json.Decoder(Message)
_commands = msgspec.json.Decoder(Command)
_event = msgspec.msgpack.Decoder(_Event)
_pack = msgspec.msgpack.Encoder().encode


class Resized(Misconfigured):
    """A log from before `topics resize` is read again: the touchpoints of one home would lie in two partitions."""


class IdentityPartition:
    """See the module. Implements `runtime.chunked.leg.Partition`."""

    def __init__(
        self,
        number: int,
        definitions: Sequence[Definition],
        *,
        secret: bytes,
        partitions: int,
        dead_letters: DeadLetters,
        kinds: Kinds = DEFAULT_KINDS,
        generation: int = 1,
        resized_before: int = 0,
    ) -> None:
        """`resized_before`, ms: touchpoints that were appended until then may lie where their keys do not belong any more."""
        self._number, self._partitions, self._kinds = number, partitions, kinds
        own = Generation(generation)
        self._identity, self._people, self._identities = (
            own.topic(topic).name for topic in (IDENTITY, PEOPLE, IDENTITIES)
        )
        self._stored = own.stored.name
        self._resized_before = resized_before
        self._dead_letters = dead_letters
        self._base = generation << 48
        self._generation = generation
        self._rules = Rules(definitions)
        self._made_with = content_hash(definitions) + kinds.content_hash
        self._kept_made_with = False
        # The id that an identifier has as a person; the first is uncached, for walking through all of them.
        self._digest = hasher(secret)
        self._person = lru_cache(1 << 17)(self._digest)
        self._by_kinds: dict[tuple[str, ...], Ordered] = {}
        self._placed = lru_cache(1 << 16)(lambda person: _placed(person, partitions))
        self._gathered: Gathered | None = Gathered()
        self._counter, self._kept_counter = 0, 0
        self._inbox: deque[Message] = deque()
        self._out: list[Output] = []
        self._events: dict[bytes, bytes] = {}
        self._changed_events: set[bytes] = set()
        self._now = 0  # append time of what is being taken
        self._said_at = self._read_to = 0

    # --- state ---------------------------------------------------------------------------------------------------

    def restore(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        assert self._gathered is not None, "restore comes before everything else"
        for key, value in records:
            self._gathered.put(key, value)

    def _open(self) -> None:
        """Take over what was gathered from the changelog."""
        gathered = self._gathered
        assert gathered is not None
        self._gathered = None
        state = gathered.values
        # Before anything is said with other rules: it would be in the log of `people` for good.
        known = state.pop(DEFINITIONS_KEY, None)
        self._kept_made_with = known == FORMAT + self._made_with
        if known not in (None, *(read + self._made_with for read in READ)):
            raise DefinitionsChanged(
                f"the state of partition {self._number} was made with other journey definitions or identity settings than the "
                "configured ones (or by an older release): put the old files back; a change needs a new generation, which "
                "`desireline replay` makes"
            )
        self._counter = self._kept_counter = int.from_bytes(state.pop(META_KEY, b""), "big")
        self._coding = Coding(state)
        self._counting = Counting(COUNT, f"identity-{self._generation}-{self._number}")
        self._erased = Erasures(self._person)
        self._names = Names(
            self._number,
            self._partitions,
            self._kinds,
            version=self._version,
            say=self._say,
            changed=lambda name, before, heard: self._homes.heard(name, before, heard, self._now),
            announce=self._announce,
            vanished=self._vanished,
            carried=lambda name: bool(self._whos.with_name(name)),
            digest=self._digest,
            erased=self._erased,
        )
        self._whos = Whos(self._names.heard, self._person)
        self._homes = Homes(
            self._partitions,
            self._number,
            self._kinds,
            whos=self._whos,
            names=self._names,
            coding=self._coding,
            person=self._person,
            version=self._version,
            say=self._say,
            assign=self._assign,
            announce=lambda home, person, blocked: self._announce_person(home, person, shared=blocked),
            vanished=self._vanished,
            digest=self._digest,
            erased=self._erased,
        )
        ordered = sorted(state, key=lambda key: _RESTORE_ORDER.index(key[:1]) if key[:1] in _RESTORE_ORDER else 0)
        for key in ordered:
            kind, value = key[:1], state[key]
            if kind in (ACTOR, LINK, HEARD):
                self._names.restore(key, value)
            elif kind == WHO:
                self._whos.restore(key, value)
            elif kind == HOME:
                self._homes.restore(key, gathered)
            elif kind == BLOCKED:
                self._homes.restore_block(key, value)
            elif kind == EVENT:
                self._events[key] = value
            elif kind in (SUPPRESSED, MARKS, PARTNERS):
                self._erased.restore(key, value)
            elif kind == COUNT:
                self._counting.restore(key, value)

    # --- input ---------------------------------------------------------------------------------------------------

    def take(self, chunk: Chunk) -> None:
        if self._gathered is not None:
            self._open()
        if chunk.topic == TOUCHPOINTS.name:
            self._take_touchpoints(chunk)
        elif chunk.topic == self._stored:
            counting, self._counting = self._counting, Carried(self._counting)
            self._take_touchpoints(as_appended(chunk))
            self._counting = counting
        elif chunk.topic == self._identity:
            messages, refused = decode_each(_messages, chunk, self._dead_letters)
            self._out += refused
            for place, message in messages:
                self._now = chunk.timestamps[place]
                self._deliver(message)
                self._settle_down()
        else:
            commands, refused = decode_each(_commands, chunk, self._dead_letters)
            self._out += refused
            for place, command in commands:
                self._now = chunk.timestamps[place]
                if isinstance(command, Erase):
                    self._pass_on(command)
                else:
                    # Not always to ourselves: `topics resize` moves identifiers, not the orders that were given before.
                    said = Order(command.identifier, self._now, command.blocked)
                    self._say(self._at(command.identifier), command.identifier, said)
                self._settle_down()

    def _take_touchpoints(self, chunk: Chunk) -> None:
        if self._resized_before and chunk.timestamps[0] < self._resized_before:
            self._require_own(chunk)
        seen, refused = decode_each(touchpoint_decoder, chunk, self._dead_letters)
        self._out += refused
        if len(seen) < len(chunk.offsets):
            for place in set(range(len(chunk.offsets))) - {place for place, _ in seen}:
                self._counting.count(UNKNOWN, chunk.timestamps[place], "rejected")
        shared_sources, known_kinds, timestamps = self._kinds.shared_sources, self._by_kinds, chunk.timestamps
        homes, append, placed, say = self._homes, self._homes.append, self._placed, self._out.append
        pack, rules_of, count, forbids = self._coding.pack, self._rules.of, self._counting.count, self._erased.forbids
        fromhex, people = bytes.fromhex, self._people
        stored: list[str] = []  # sources of what the fast path stored within the hour of arrival
        hour, hour_ends = 0, 0
        for place, touchpoint in seen:
            arrived = self._now = timestamps[place]
            if not hour <= arrived < hour_ends:
                self._count_stored(stored, hour)
                hour = arrived - arrived % HOUR
                hour_ends = hour + HOUR
            identifiers, source = touchpoint.identifiers, touchpoint.source
            kinds = known_kinds.get(tuple(identifiers)) or self._order_kinds(tuple(identifiers))
            if not kinds.home:
                self._refuse(
                    chunk, place, touchpoint, "no_identifier", "none of its identifiers is of a configured kind"
                )
                continue
            try:
                content = _CONTENT.unpack(fromhex(touchpoint.content))[0]
            except (ValueError, struct.error) as error:
                self._out += self._dead_letters.undecodable(chunk, place, error)
                count(UNKNOWN, arrived, "rejected")
                continue
            home = f"{kinds.home}:{identifiers[kinds.home]}"
            strong = tuple([f"{kind}:{identifiers[kind]}" for kind in kinds.strong]) if kinds.strong else ()
            value, felt, sequence = touchpoint.value, touchpoint.feedback, touchpoint.sequence
            channel, name = touchpoint.channel, touchpoint.name
            record = FoldRecord(
                touchpoint.occurred_at,
                channel,
                name,
                rules_of(channel, name, touchpoint.properties),
                -1 if sequence is None else sequence,
                value.amount if value else 0,
                value.currency if value else "",
                felt.kind if felt else "",
                -1 if felt is None or felt.score is None else felt.score,
                felt.sentiment or "" if felt else "",
            )
            shared = source in shared_sources
            event = touchpoint.event_id.int.to_bytes(16, "big")
            erased = strong and forbids(strong, touchpoint.occurred_at)
            if touchpoint.revision:
                weak = tuple([f"{kind}:{identifiers[kind]}" for kind in kinds.weak])
                self._revise(chunk, place, touchpoint, home, strong, weak, content, shared, None if erased else record)
                self._settle_down()
                continue
            if erased:
                count(source, arrived, "erased")
                continue
            if kinds.simple and not touchpoint.retracted:
                reach = kinds.shared_reach if shared else kinds.reach
                person = append(
                    home, event, touchpoint.occurred_at, record.sequence, content, strong, shared, reach, pack(record)
                )
                if person is not None:
                    owner, key, partition = placed(person)
                    said = encode(Assigned(owner, event.hex(), 0, 1, arrived, record))
                    say(Output(people, partition, key, said))
                    stored.append(source)
                    continue
            known = homes.known(home, event)
            if known is None:
                count(source, arrived, "stored")
                kept = None if touchpoint.retracted else record
                weak = tuple([f"{kind}:{identifiers[kind]}" for kind in kinds.weak])
                homes.settle(
                    home, Fact(event, 0, record.at, record.sequence, content, strong, weak, shared, arrived, kept)
                )
                self._settle_down()
            elif known == ERASED:
                count(source, arrived, "erased")
            elif known == (0, content):
                count(source, arrived, "duplicate")
            elif known[0] == 0:
                self._conflict(chunk, place, touchpoint)
            else:
                count(source, arrived, "superseded")
        self._count_stored(stored, hour)

    def _count_stored(self, sources: list[str], hour: int) -> None:
        """Count what was stored in an hour, and forget it."""
        for source, stored in Counter(sources).items():
            self._counting.count(source, hour, "stored", stored)
        sources.clear()

    def _require_own(self, chunk: Chunk) -> None:
        """Resized unless each record of a log that is read again is where its key belongs."""
        for offset, key in zip(chunk.offsets, chunk.keys, strict=True):
            if key is not None and partition_of(key, self._partitions) != self._number:
                raise Resized(
                    f"touchpoints/{self._number}/{offset} was stored before the topics were resized and belongs to another "
                    f"partition now: this log cannot be replayed any more; `desireline replay drop {self._generation}`, then "
                    "`desireline replay start --from clickhouse`"
                )

    def _order_kinds(self, given: tuple[str, ...]) -> Ordered:
        """What kinds of identifiers mean that stand together; remembered for the next time."""
        found = ordered(given, self._kinds)
        if len(self._by_kinds) < MAX_REMEMBERED:
            self._by_kinds[given] = found
        return found

    def _revise(
        self,
        chunk: Chunk,
        place: int,
        touchpoint: Seen,
        home: str,
        strong: tuple[str, ...],
        weak: tuple[str, ...],
        content: int,
        shared: bool,
        record: FoldRecord | None,
    ) -> None:
        """A touchpoint with a revision comes by its event: pass the newest home, and withdraw it from the home it leaves.

        `record` None: it carries the name of somebody erased, and is taken as if it were retracted.
        """
        event, key = touchpoint.event_id.bytes, EVENT + touchpoint.event_id.bytes
        arrived, value = chunk.timestamps[place], self._events.get(key)
        known = _event.decode(value) if value is not None else None
        if known is not None and known.revision == CLOSED:
            self._counting.count(touchpoint.source, arrived, "erased")
            return
        if known is not None and touchpoint.revision <= known.revision:
            if touchpoint.revision < known.revision:
                self._counting.count(touchpoint.source, arrived, "superseded")
            elif content == known.content:
                self._counting.count(touchpoint.source, arrived, "duplicate")
            else:
                self._conflict(chunk, place, touchpoint)
            return
        first = known is None or not known.stored
        decision: Decision = "superseded" if not first else "stored" if record is not None else "erased"
        self._counting.count(touchpoint.source, arrived, decision)
        stored = not first or record is not None
        self._keep_event(event, _Event(touchpoint.revision, content, NOWHERE if record is None else home, stored))
        at, sequence = touchpoint.occurred_at, -1 if touchpoint.sequence is None else touchpoint.sequence
        said = Revised(
            home, event.hex(), touchpoint.revision, at, sequence, arrived, touchpoint.source,
            list(strong), list(weak), shared, None if touchpoint.retracted else record,
        )  # fmt: skip
        self._say(self._at(home), home, said)
        if known is not None and known.home not in (home, NOWHERE):
            # When it occurred does not matter where it has left; and it may be later than the erasure of that home's name.
            left = Revised(known.home, event.hex(), touchpoint.revision, 0, -1, arrived, touchpoint.source)
            self._say(self._at(known.home), known.home, left)

    def _keep_event(self, event: bytes, newest: _Event) -> None:
        self._events[EVENT + event] = _pack(newest)
        self._changed_events.add(EVENT + event)

    # --- messages ------------------------------------------------------------------------------------------------

    def _at(self, identifier: str) -> int:
        return partition_of(identifier.encode(), self._partitions)

    def _version(self) -> int:
        """Rises with everything that this partition says, whoever in it speaks."""
        self._counter += 1
        return self._counter

    def _say(self, partition: int, key: str, message: Message) -> None:
        if partition == self._number:
            self._inbox.append(message)
        else:
            self._out.append(Output(self._identity, partition, key.encode(), encode(message)))

    def _settle_down(self) -> None:
        """Take what we said to ourselves, until nothing is left."""
        while self._inbox:
            self._deliver(self._inbox.popleft())

    def _deliver(self, message: Message) -> None:
        match message:
            case Advert():
                self._names.told(message)
            case Follow():
                self._names.asked(message)
            case Unfollow():
                self._names.unfollowed(message)
            case Link():
                self._names.linked(message)
            case Sighting():
                self._homes.sighted(message, self._now)
            case Revised():
                self._revised(message)
            case Erased():
                self._forget(message)
            case Order(identifier, version, blocked):
                if identifier.partition(":")[0] in self._kinds.strong:
                    self._names.ordered(identifier, version, blocked)
                else:
                    self._homes.ordered(identifier, version, blocked, self._now)

    def _revised(self, message: Revised) -> None:
        event = bytes.fromhex(message.event_id)
        known = self._homes.known(message.home, event)
        if known is not None and (known == ERASED or known[0] >= message.revision):
            return
        record = None if self._erased.forbids(message.strong, message.at) else message.record
        if known is None and record is None and message.at <= self._erased.until(message.home):
            return  # or an erased name would be kept as the home of nothing
        if known is not None and known[0] == 0:  # counted as two touchpoints until now
            self._counting.count(message.source, message.arrived, "stored", -1)
            self._counting.count(message.source, message.arrived, "superseded")
        fact = Fact(
            event, message.revision, message.at, message.sequence, 0, tuple(message.strong), tuple(message.weak),
            message.shared, message.arrived, record,
        )  # fmt: skip
        self._homes.settle(message.home, fact)

    # --- erasure -------------------------------------------------------------------------------------------------

    def _pass_on(self, command: Erase) -> None:
        """Tell every partition its part of an erasure."""
        where = [self._at(f"event:{UUID(one.event_id)}") for one in command.gone]
        for number in range(self._partitions):

            def lives(hashed: Hashed, number: int = number) -> bool:
                return hashed.place % self._partitions == number

            part = Erased(
                command.at,
                command.names,
                [one for one, at in zip(command.gone, where, strict=True) if at == number],
                [one for one in command.gone if lives(one.home)],
                [one for one in command.marks if lives(one.device)],
                [one for one in command.partners if lives(one.name)],
            )
            self._say(number, command.key, part)

    def _forget(self, message: Erased) -> None:
        """Our part of an erasure. Identifiers are hashed one by one to find the meant ones: two seconds per million."""
        hashes = frozenset(map(bytes.fromhex, message.names))
        self._erased.suppress(hashes, message.at)
        partners = self._erased.partner(message.partners)
        for gone in message.events:
            self._close_event(gone)
        counted = {one.event_id: one for one in message.gone}
        fresh = self._erased.mark(message.gone, message.marks)
        for event in self._homes.mark(fresh, self._now):
            if event.hex() in counted:
                self._count_erased(counted[event.hex()])
        known = self._names.known().union(self._whos.all_names(), self._homes.of_names())
        names = {name for name in known if self._digest(name) in hashes} if hashes else set()
        self._homes.unname(names, self._now)
        self._names.erase(names, partners)

    def _close_event(self, gone: Gone) -> None:
        """No revision of this event will be taken any more."""
        event = bytes.fromhex(gone.event_id)
        value = self._events.get(EVENT + event)
        known = _event.decode(value) if value is not None else None
        if known is not None and known.revision == CLOSED:
            return
        if known is not None and known.stored:
            self._count_erased(gone)
        if known is not None and known.home != NOWHERE:
            left = Revised(known.home, gone.event_id, LAST_REVISION, 0, -1, self._now, "")
            self._say(self._at(known.home), known.home, left)
        self._events |= closed(event)
        self._changed_events.add(EVENT + event)

    def _count_erased(self, gone: Gone) -> None:
        self._counting.count(gone.source, gone.arrived, "stored", -1)
        self._counting.count(gone.source, gone.arrived, "erased")

    # --- output --------------------------------------------------------------------------------------------------

    def _assign(
        self, person: bytes, event: bytes, revision: int, move: int, arrived: int, cause: str, record: FoldRecord | None
    ) -> None:
        owner, key, partition = self._placed(person)
        said = encode(Assigned(owner, event.hex(), revision, move, arrived, record, cause))
        self._out.append(Output(self._people, partition, key, said))

    def _announce(self, name: str, person: str, shared: bool) -> None:
        self._announce_person(name, self._person(person), shared=shared)

    def _announce_person(self, identifier: str, person: bytes, *, shared: bool) -> None:
        """Only of identifiers that live here."""
        key, own = identifier.encode(), self._person(identifier)
        row = Identity(identifier, person.hex(), own.hex(), self._now, self._base + self._version(), shared)
        self._out.append(Output(self._identities, self._number, key, encode(row)))

    def _vanished(self, identifier: str) -> None:
        """Nobody asks for it any more: erased from the compacted topic as well."""
        self._out.append(Output(self._identities, self._number, identifier.encode(), None))

    def _conflict(self, chunk: Chunk, place: int, touchpoint: Seen) -> None:
        self._refuse(
            chunk,
            place,
            touchpoint,
            "conflicting",
            f"an earlier touchpoint has the same event_id and revision {touchpoint.revision} with other content, and stands; "
            "to correct a touchpoint send it with a higher revision",
        )

    def _refuse(self, chunk: Chunk, place: int, touchpoint: Seen, reason: Any, message: str) -> None:
        self._counting.count(touchpoint.source, chunk.timestamps[place], "rejected")
        self._out += self._dead_letters.output(
            chunk.values[place] or b"",
            source=touchpoint.source,
            reason=reason,
            address=f"{chunk.topic}/{chunk.partition}/{chunk.offsets[place]}",
            message=message,
            at=chunk.timestamps[place],
            path="event_id" if reason == "conflicting" else "identifiers",
        )

    def tick(self, now: int, read_to: Mapping[str, int]) -> None:
        if self._gathered is not None:
            self._open()
        at = min(read_to.get(topic, 0) for topic in (TOUCHPOINTS.name, self._identity))
        # What waits for a name's answer has been read but is nobody's yet.
        at = min(at, min(self._homes.waiting.values(), default=at + 1) - 1)
        if at > self._read_to and now - self._said_at >= READ_TO_EVERY:
            self._read_to, self._said_at = at, now
            said = encode(ReadTo(self._number, at))
            self._out += [Output(self._people, p, None, said) for p in range(self._partitions)]

    def pending(self) -> bool:
        return bool(self._out or (self._gathered is None and (self._homes.changed or self._changed_events)))

    def collect(self, now: int) -> tuple[Mapping[bytes, bytes | None], Sequence[Output]]:
        if self._gathered is not None:
            self._open()
        state = self._homes.take_state()
        state |= self._whos.take_state()
        state |= self._names.take_state()
        state |= {key: self._events[key] for key in self._changed_events}
        self._changed_events.clear()
        state |= self._erased.take_state()
        state |= self._coding.take_fresh()
        counts = self._counting.take(state)
        if self._counter != self._kept_counter:
            state[META_KEY] = self._counter.to_bytes(8, "big")
            self._kept_counter = self._counter
        if state and not self._kept_made_with:
            state[DEFINITIONS_KEY] = FORMAT + self._made_with
            self._kept_made_with = True
        out, self._out = self._out, []
        out += [Output(LEDGER.name, self._number, key, value) for key, value in counts]
        return state, out


def closed(event: bytes) -> dict[bytes, bytes]:
    """The state record of an event that was erased."""
    return {EVENT + event: _pack(_Event(CLOSED, 0, NOWHERE, stored=False))}


def _placed(person: bytes, partitions: int) -> tuple[str, bytes, int]:
    """A person's id as text and as key, and the partition of it."""
    key = person.hex().encode()
    return person.hex(), key, place_of(key) % partitions  # who calls remembers it


# Homes know combinations by number, combinations know names: what is needed comes first.
_RESTORE_ORDER = (SUPPRESSED, MARKS, PARTNERS, ACTOR, LINK, HEARD, WHO, HOME)
