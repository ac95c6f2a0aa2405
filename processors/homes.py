"""Homes: which touchpoints happened where, and whose each of them is. A home alone says so, to the old owner and the new.

What a change touches lies between the neighbouring sightings, so only that is looked at: `processors/ownership.py`. Pure: what
is to be said goes to `say` and `assign`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from struct import Struct
from typing import NamedTuple

from processors.coding import Coding
from processors.erased import SEEN_NOBODY, Erasures, Marked
from processors.names import Heard, Names
from processors.ownership import Assign, Ownership
from processors.timeline import (
    CONTENT_AT,
    FACT,
    FLAGS_AT,
    MARK,
    NOBODY,
    ORDER,
    ORDER_SIZE,
    PREFIX,
    RECORD,
    RETRACTED,
    REVISION_AT,
    SEGMENT,
    SETTLED,
    SHARED,
    SIGHTS,
    SIZE,
    START,
    U32,
    WAITING,
    Place,
    Timeline,
)
from processors.whos import NO_PERSON, Whos
from runtime.chunked.slices import Gathered, part_key
from runtime.kafka import partition_of
from schemas.identity import Kinds
from schemas.messages import Link, Message, Sighting
from schemas.person import FoldRecord

HOME, BLOCKED = b"h", b"b"
_ORDER_WHO_VIA = Struct(">QI16sII")  # how a record begins
LAST_REVISION = 2**31 - 1
ERASED = -1, 0  # revision and content of a touchpoint that was erased
EMPTY = PREFIX.pack(SETTLED, 0, NOBODY)
_FULL = START + SEGMENT - 2 * SIZE


class Fact(NamedTuple):
    """A touchpoint as its home takes it. `record` None: retracted, or withdrawn from this home."""

    event: bytes
    revision: int
    at: int
    sequence: int
    content: int  # 32 bits of the content's hash
    strong: tuple[str, ...]
    weak: tuple[str, ...]
    shared: bool
    arrived: int
    record: FoldRecord | None


class Homes:
    """See the module."""

    def __init__(
        self,
        partitions: int,
        number: int,
        kinds: Kinds,
        *,
        whos: Whos,
        names: Names,
        coding: Coding,
        person: Callable[[str], bytes],
        version: Callable[[], int],
        say: Callable[[int, str, Message], None],
        assign: Assign,
        announce: Callable[[str, bytes, bool], None],
        vanished: Callable[[str], None],
        digest: Callable[[str], bytes],
        erased: Erasures,
    ) -> None:
        self._partitions, self._number, self._kinds = partitions, number, kinds
        self._whos, self._names, self._coding = whos, names, coding
        self._vanished, self._digest, self._erased = vanished, digest, erased
        self._person, self._version, self._say, self._announce = person, version, say, announce
        self._owners = Ownership(kinds, whos=whos, coding=coding, person=person, assign=assign)
        self._blocked = self._owners.blocked
        # Combinations whose name has not answered → append time of their first touchpoint.
        self.waiting: dict[int, int] = {}
        self.values: dict[str, bytes | Timeline] = {}
        self.changed: set[str] = set()
        self._state: dict[bytes, bytes | None] = {}

    # --- state ---------------------------------------------------------------------------------------------------

    def restore(self, key: bytes, gathered: Gathered) -> None:
        """Take one home from the state, when all that is known of names has been taken."""
        home = key[1:].decode()
        value, rest = gathered.values[key], gathered.parts(key)
        timeline = Timeline(value, rest) if rest else None
        self.values[home] = timeline or value
        by_number = self._whos.by_number
        for content in timeline.segments if timeline else (value[START:],):
            for record in RECORD.iter_unpack(content):
                who, flags = record[3], record[8]
                if who:
                    found = by_number[who]
                    found.homes[home] = None
                    if flags & (FACT | RETRACTED) == FACT:
                        found.live += 1
                    if found.person is None:
                        self.waiting[who] = 0

    def restore_block(self, key: bytes, value: bytes) -> None:
        self._blocked[key[1:].decode()] = int.from_bytes(value, "big", signed=True)

    def take_state(self) -> dict[bytes, bytes | None]:
        """What has changed since this was last asked."""
        state, self._state = self._state, {}
        for home in self.changed:
            key, value = HOME + home.encode(), self.values[home]
            if type(value) is bytes:
                state[key] = value
                continue
            assert isinstance(value, Timeline)
            state[key] = value.main()
            for number in value.dirty - {0}:
                state[part_key(key, number)] = value.part(number)
            for number in value.gone:
                state[part_key(key, number)] = None
            value.dirty.clear()
            value.gone.clear()
        self.changed.clear()
        return state

    # --- what comes -----------------------------------------------------------------------------------------------

    def known(self, home: str, event: bytes) -> tuple[int, int] | None:
        """Revision and content of a touchpoint that this home has; None if it has it not, ERASED if it may not have it."""
        value = self.values.get(home)
        if value is None:
            return ERASED if event in self._erased.marks(home) else None
        if type(value) is bytes:
            at = value.find(event, START)
            while at >= 0:
                start = at - 12
                if (start - START) % SIZE == 0 and value[start + FLAGS_AT] & FACT:
                    return _known(value, start)
                at = value.find(event, at + 1)
            return None
        assert isinstance(value, Timeline)
        place = value.find(event, FACT)
        return None if place is None else _known(value.at(place), 0)

    def append(
        self,
        home: str,
        event: bytes,
        at: int,
        sequence: int,
        content: int,
        names: tuple[str, ...],
        shared: bool,
        reach: int,
        payload: tuple[int, int, int, int, int],
    ) -> bytes | None:
        """A touchpoint that comes last and says nothing new: whose it is. None: it takes `settle` to tell.

        `reach` is how far a name on its device explains it, in ms; -1: it is on none.

        This is what nearly all touchpoints are; nothing but a record is added.
        """
        value = self.values.get(home)
        if value is None:
            if names or self._erased.marks(home):
                return None
            return self._begin(home, event, at, sequence, content, shared, payload)
        if type(value) is not bytes or event in value:
            return None
        last = len(value) - SIZE
        if last < START or last > _FULL or home in self._blocked:
            return None
        state, named_at, named = PREFIX.unpack_from(value)
        last_at, last_sequence, last_event, who, via = _ORDER_WHO_VIA.unpack_from(value, last)
        if state != SETTLED or (at <= last_at and (at, sequence + 1, event) <= (last_at, last_sequence, last_event)):
            return None
        flags = FACT | SHARED if shared else FACT
        if names:
            if not who or who != via or not value[last + FLAGS_AT] & FACT:
                return None
            found = self._whos.by_number[who]
            person = found.person
            if not person or found.names != names or found.others:
                return None
            found.live += 1
            record = RECORD.pack(at, sequence + 1, event, who, who, content, 1, 0, flags | SIGHTS, *payload)
            if reach >= 0:
                record = value[START:] + record
                value = PREFIX.pack(SETTLED, at, who)
        else:
            through = named if named and at - named_at <= reach else NOBODY
            person = self._whos.by_number[through].person if through else self._person(home)
            record = RECORD.pack(at, sequence + 1, event, NOBODY, through, content, 1, 0, flags, *payload)
        self.values[home] = value + record
        self.changed.add(home)
        return person

    def _begin(
        self,
        home: str,
        event: bytes,
        at: int,
        sequence: int,
        content: int,
        shared: bool,
        payload: tuple[int, int, int, int, int],
    ) -> bytes:
        """The first touchpoint on a device, without a name: its own."""
        flags = FACT | SHARED if shared else FACT
        record = RECORD.pack(at, sequence + 1, event, NOBODY, NOBODY, content, 1, 0, flags, *payload)
        self.values[home] = EMPTY + record
        self.changed.add(home)
        person = self._person(home)
        self._announce(home, person, self._blocked.get(home, 0) > 0)
        return person

    def settle(self, home: str, fact: Fact) -> None:
        """A touchpoint that is new or newer comes home (or leaves it)."""
        self._owners.arrived, self._owners.cause = fact.arrived, "correction" if fact.revision else "named"
        timeline = self._open(home)
        others_before: tuple[str, ...] = ()
        touched: list[bytes] = []  # where a sighting came, went or changed
        left = NOBODY
        place = timeline.find(fact.event, FACT)
        if place is not None:
            left = timeline.who(place)
            touched, others_before = self._lift(home, timeline, place, fact.revision, 0)
        live = fact.record is not None
        who = NOBODY
        if live and fact.strong:
            who = self._who(home, fact.strong, tuple([device for device in fact.weak if device != home]))
        flags = FACT | (0 if live else RETRACTED) | (SHARED if fact.shared else 0)
        payload = self._coding.pack(fact.record) if fact.record is not None else (0, 0, 0, 0, 0)
        counts = bool(who)
        told = timeline.find(fact.event, 0)
        if (
            told is not None
        ):  # of what is said here and elsewhere the newer sights, and of equal ones the one with names
            known = RECORD.unpack(timeline.at(told))
            counts = counts and (known[7], bool(known[3])) <= (fact.revision, True)
            beaten = (known[7], bool(known[3])) <= (fact.revision, bool(who))
            touched += self._set_sights(timeline, told, on=bool(known[3]) and not beaten)
        if counts:
            flags |= SIGHTS
        order = ORDER.pack(fact.at, fact.sequence + 1, fact.event)
        if flags & SIGHTS:
            touched.append(order)
        timeline.insert(
            RECORD.pack(
                fact.at,
                fact.sequence + 1,
                fact.event,
                who,
                WAITING,
                fact.content,
                0,
                fact.revision,
                flags,
                *payload,
            )
        )
        if who:
            self._count(who, 1)
        names = list(fact.strong)
        others = self._whos.by_number[who].others if who else ()
        for device in dict.fromkeys((*others_before, *others)):
            said = Sighting(
                device, fact.event.hex(), fact.revision, fact.at, fact.sequence, names if device in others else []
            )
            self._say(partition_of(device.encode(), self._partitions), device, said)
        self._owners.reconsider(home, timeline, touched, alone=() if flags & SIGHTS else (order,))
        self._close(home, timeline)
        self._leave(home, left)

    def _lift(
        self, home: str, timeline: Timeline, place: Place, revision: int, move: int
    ) -> tuple[list[bytes], tuple[str, ...]]:
        """Take a touchpoint out, which its owner hears with this version: where it was a sighting, and the further devices
        that know of it."""
        known = RECORD.unpack(timeline.at(place))
        touched = [timeline.order(place)] if known[8] & SIGHTS else []
        others: tuple[str, ...] = ()
        if known[8] & (FACT | RETRACTED) == FACT:
            old = self._owners.told(home, known[4])
            if old is not None:
                self._owners.take_away(old, known[2], revision, move)
            if known[3]:
                others = self._whos.by_number[known[3]].others
                self._count(known[3], -1)
        timeline.remove(place)
        return touched, others

    def sighted(self, message: Sighting, arrived: int) -> None:
        """Another home reports who was seen on this device, or takes it back."""
        home, event = message.device, bytes.fromhex(message.event_id)
        names = tuple(message.names)
        if event in self._erased.marks(home) or self._erased.forbids(names, message.at):
            return
        self._owners.arrived, self._owners.cause = arrived, "named"
        timeline = self._open(home)
        place = timeline.find(event, 0)
        touched: list[bytes] = []
        left = NOBODY
        if place is not None:
            known = RECORD.unpack(timeline.at(place))
            if (known[7], bool(known[3])) >= (message.revision, bool(names)):
                return
            if known[8] & SIGHTS:
                touched.append(timeline.order(place))
            left = known[3]
            timeline.remove(place)
        who = self._who(home, names, ()) if names else NOBODY
        flags = 0
        fact = timeline.find(event, FACT)
        if fact is None:
            flags = SIGHTS if who else 0
        else:
            mine = RECORD.unpack(timeline.at(fact))
            wins = (message.revision, bool(who)) > (mine[7], bool(mine[3]))
            if wins:
                touched += self._set_sights(timeline, fact, on=False)
            elif mine[3]:
                touched += self._set_sights(timeline, fact, on=True)
            flags = SIGHTS if who and wins else 0
        if flags:
            touched.append(ORDER.pack(message.at, message.sequence + 1, event))
        timeline.insert(
            RECORD.pack(
                message.at, message.sequence + 1, event, who, NOBODY, 0, 0, message.revision, flags, 0, 0, 0, 0, 0
            )
        )
        self._owners.reconsider(home, timeline, touched)
        self._close(home, timeline)
        self._leave(home, left)

    @staticmethod
    def _set_sights(timeline: Timeline, place: Place, *, on: bool) -> list[bytes]:
        """Let a record count as a sighting or not; the order of the record if that changed it."""
        record = bytearray(timeline.at(place))
        if bool(record[FLAGS_AT] & SIGHTS) == on:
            return []
        record[FLAGS_AT] ^= SIGHTS
        timeline.remove(place)
        timeline.insert(bytes(record))
        return [bytes(record[:ORDER_SIZE])]

    def ordered(self, device: str, version: int, blocked: bool, arrived: int) -> None:
        """An operator says that a device explains nothing, or after all something."""
        if version < abs(self._blocked.get(device, 0)):
            return
        self._blocked[device] = version if blocked else -version
        self._state[BLOCKED + device.encode()] = self._blocked[device].to_bytes(8, "big", signed=True)
        if device not in self.values:
            return
        self._owners.arrived, self._owners.cause = arrived, "split" if blocked else "merge"
        timeline = self._open(device)
        self._owners.reconsider(device, timeline, [timeline.order(place) for place in timeline.places()])
        self._close(device, timeline, news=True)

    def heard(self, name: str, before: Heard | None, heard: Heard, arrived: int) -> None:
        """Something new is known of a name: whose are the touchpoints that go through it?"""
        rank = self._kinds.rank
        for number in list(self._whos.with_name(name)):
            who = self._whos.by_number[number]
            person = self._whos.present(who)
            if person == who.person:
                continue
            self.waiting.pop(number, None)
            self._owners.arrived = arrived
            merge = (
                before is not None and not heard.shared and (before.shared or rank(heard.person) < rank(before.person))
            )
            self._owners.cause = "named" if before is None else "merge" if merge else "split"
            was, who.person = who.person, person
            if person and who.told == NO_PERSON:  # nobody has been told anything through it
                who.told = person
                self._whos.keep(number)
            for home in list(who.homes):
                timeline = self._open(home)
                orders = timeline.orders_of(number)
                if was and person:
                    self._owners.retell(home, timeline, number, person, orders)
                else:
                    self._owners.reconsider(home, timeline, orders)
                self._close(home, timeline, news=bool(was and person and timeline.named == number))
            if person and person != who.told:
                who.told = person
                self._whos.keep(number)

    # --- who is erased ----------------------------------------------------------------------------------------------

    def mark(self, fresh: Mapping[bytes, Marked], arrived: int) -> list[bytes]:
        """Erase touchpoints by home (hash) and leave marks; those that came home at revision 0, and are counted there."""
        if not fresh:
            return []
        self._owners.arrived, self._owners.cause = arrived, "erasure"
        here = {found: home for home in self.values if (found := self._digest(home)) in fresh}
        return [event for found, home in here.items() for event in self._mark_at(home, fresh[found])]

    def _mark_at(self, home: str, events: Marked) -> list[bytes]:
        timeline = self._open(home)
        touched: list[bytes] = []
        stored: list[bytes] = []
        left: set[int] = set()
        for event, order in events.items():
            told, place = timeline.find(event, 0), timeline.find(event, FACT)
            if told is not None:
                left.add(timeline.who(told))
                if timeline.flags(told) & SIGHTS:
                    touched.append(timeline.order(told))
                timeline.remove(told)
                place = timeline.find(event, FACT)
            if place is not None:
                left.add(timeline.who(place))
                if _known(timeline.at(place), 0)[0] == 0:
                    stored.append(event)
                touched += self._erase(home, timeline, place)
            record = _mark(order)
            timeline.insert(record)
            if record[FLAGS_AT] & SIGHTS:
                touched.append(order)
        self._owners.reconsider(home, timeline, touched)
        self._close_or_drop(home, timeline)
        self._leave(home, *left)
        return stored

    def of_names(self) -> Iterator[str]:
        """The names that are homes themselves: of touchpoints without a device."""
        return (home for home in self.values if self._kinds.look_back(home, shared=False) < 0)

    def unname(self, names: Collection[str], arrived: int) -> None:
        """Take out what carries one of these names, as far as it is erased."""
        self._owners.arrived, self._owners.cause = arrived, "erasure"
        for name in sorted(names):
            until = self._erased.until(name)
            for number in list(self._whos.with_name(name)):
                for home in list(self._whos.by_number[number].homes):
                    self._unname_at(home, number, until)
                self._leave(name, number)
            if name in self.values:
                self._clear(name, until)

    def _unname_at(self, home: str, number: int, until: int) -> None:
        timeline = self._open(home)
        touched: list[bytes] = []
        for order in timeline.orders_of(number):
            place = timeline.find(order[12:], FACT)
            if place is None or timeline.who(place) != number or timeline.time(place) > until:
                continue
            at, sequence, event, _, _, content, _, revision, flags, *_ = RECORD.unpack(timeline.at(place))
            touched += self._erase(home, timeline, place)
            flags = FACT | RETRACTED | flags & SHARED
            timeline.insert(
                RECORD.pack(at, sequence, event, NOBODY, WAITING, content, 0, revision, flags, 0, 0, 0, 0, 0)
            )
        self._owners.reconsider(home, timeline, touched)
        self._close_or_drop(home, timeline)

    def _clear(self, name: str, until: int) -> None:
        """An erased name's own home keeps nothing of what was taken back there; but what the ledger has counted here (revision
        0) stays until it is listed, which it will be: it is stored."""
        timeline = self._open(name)
        for place in reversed(list(timeline.places())):
            revision, _ = _known(timeline.at(place), 0)
            if timeline.flags(place) & RETRACTED and revision > 0 and timeline.time(place) <= until:
                timeline.remove(place)
        self._close_or_drop(name, timeline)

    def _erase(self, home: str, timeline: Timeline, place: Place) -> list[bytes]:
        """Take a touchpoint out for good; where it was a sighting."""
        at, sequence, event, _, _, _, moves, revision, *_ = RECORD.unpack(timeline.at(place))
        touched, others = self._lift(home, timeline, place, revision, moves + 1)
        for device in others:
            void = Sighting(device, event.hex(), min(revision + 1, LAST_REVISION), at, sequence - 1, [])
            self._say(partition_of(device.encode(), self._partitions), device, void)
        return touched

    def _leave(self, home: str, *numbers: int) -> None:
        """A home may have lost its last record of these combinations: forget those of erased people that no home has."""
        for number in numbers:
            who = self._whos.by_number.get(number)
            if who is None:
                continue
            forgotten = any(self._erased.until(name) >= 0 for name in who.names)
            if not forgotten and self._owners.cause != "erasure":
                continue
            for one in list(who.homes) if forgotten else [home]:
                if not self._open(one).orders_of(number):
                    who.homes.pop(one, None)
            if not who.homes:
                self.waiting.pop(number, None)
                for name in self._whos.drop(number):
                    self._names.retire(name)

    def _close_or_drop(self, home: str, timeline: Timeline) -> None:
        """Keep a home, unless nothing is left there but marks, which are kept without its name."""
        if not timeline.only_marks():
            self._close(home, timeline)
            return
        self.values.pop(home, None)
        self.changed.discard(home)
        key = HOME + home.encode()
        self._state |= {part_key(key, number): None for number in {0, *timeline.ids, *timeline.gone}}
        if self._kinds.look_back(home, shared=False) >= 0:
            self._vanished(home)

    # --- whose ----------------------------------------------------------------------------------------------------

    def _who(self, home: str, names: tuple[str, ...], others: tuple[str, ...]) -> int:
        self._names.follow(names)
        number = self._whos.number(names, others)
        who = self._whos.by_number[number]
        who.homes[home] = None
        if who.person is None:
            self.waiting.setdefault(number, self._owners.arrived)
        return number

    def _count(self, number: int, more: int) -> None:
        for one, other, linked in self._whos.count(number, more):
            for name, partner in ((one, other), (other, one)):
                target = partition_of(name.encode(), self._partitions)
                self._say(target, name, Link(name, partner, self._number, self._version(), linked))

    # --- keeping --------------------------------------------------------------------------------------------------

    def _open(self, home: str) -> Timeline:
        value = self.values.get(home)
        if value is None:  # new, or forgotten when the last who had been here was erased
            timeline = Timeline(EMPTY)
            for order in self._erased.marks(home).values():
                timeline.insert(_mark(order))
            return timeline
        return value if isinstance(value, Timeline) else Timeline(value)

    def _close(self, home: str, timeline: Timeline, *, news: bool = False) -> None:
        """Keep what was changed; a device says whose it is, by its latest sighting, where that is news."""
        if self._owners.reach(home)[0] >= 0:
            self._present(home, timeline, news)
        self.changed.add(home)
        self.values[home] = timeline.main() if len(timeline.segments) == 1 and not timeline.gone else timeline

    def _present(self, home: str, timeline: Timeline, news: bool) -> None:
        before, blocked = timeline.named, self._blocked.get(home, 0) > 0
        # What is about to be settled has not been announced yet.
        begins = home not in self.values or not timeline.settled
        place = None if blocked else timeline.last_sighting()
        timeline.settled = True
        while place is not None:
            who = timeline.who(place)
            person = self._whos.by_number[who].person if who else self._person(home)
            if person:
                break
            timeline.settled = timeline.settled and person is not None
            place = timeline.sighting_before(timeline.order(place))
        timeline.named, timeline.named_at = (timeline.who(place), timeline.time(place)) if place else (NOBODY, 0)
        old = self._whos.by_number[before].told if before else self._person(home)
        now = self._whos.by_number[timeline.named].person if timeline.named else self._person(home)
        if news or old != now or (begins and timeline.settled):
            self._announce(home, now or self._person(home), blocked)


def _known(value: bytes, start: int) -> tuple[int, int]:
    """Revision and content of the record that starts there."""
    if value[start + FLAGS_AT] & MARK:
        return ERASED
    content, revision = U32.unpack_from(value, start + CONTENT_AT)[0], U32.unpack_from(value, start + REVISION_AT)[0]
    return revision, content


def _mark(order: bytes) -> bytes:
    """The record of an erased touchpoint; a sighting unless it has no place in the order."""
    at, sequence, event = ORDER.unpack(order)
    flags = FACT | RETRACTED | MARK | (SIGHTS if at != SEEN_NOBODY else 0)
    return RECORD.pack(at, sequence, event, NOBODY, NOBODY, 0, 0, LAST_REVISION, flags, 0, 0, 0, 0, 0)
