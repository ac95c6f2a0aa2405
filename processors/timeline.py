"""What happened at one home, packed: its touchpoints and the sightings that other homes reported, in journey order.

    prefix: the last sighting | record · record · …

Records are fixed and sort as their bytes. A home is one `bytes` value until it has more than a segment takes; a hot one (a
kiosk, a switchboard) is many segments, so that a late touchpoint moves and rewrites some kilobytes, not all of them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from struct import Struct

# at, sequence + 1, event id | who, via | content, moves, revision, flags | channel, name, rules, feedback, money
RECORD = Struct(">QI16sIIIHIBHHHHq")
SIZE = RECORD.size
ORDER = Struct(">QI16s")
ORDER_SIZE = ORDER.size
WHO_AT, VIA_AT, CONTENT_AT, MOVES_AT, REVISION_AT, FLAGS_AT = 28, 32, 36, 40, 42, 46
U32 = Struct(">I")
PREFIX = Struct(">BQI")  # settled or not, time and who of the last sighting that names somebody
SETTLED, UNSETTLED = 1, 2  # UNSETTLED: behind that sighting is one whose name has not answered yet
START = PREFIX.size
SEGMENT = 256 * SIZE  # split above

NOBODY = 0  # who: no name; via: the home's own
WAITING = 0xFFFF_FFFF  # via: not told to anybody yet, for a name's answer is on its way
FACT, RETRACTED, SIGHTS, SHARED, MARK = 1, 2, 4, 8, 16  # MARK: of an erased touchpoint; retracted as well

Place = tuple[int, int]  # segment, offset in it


class Timeline:
    """The records of one home, opened for a change. Places are valid until the next insert or remove."""

    __slots__ = ("_by_who", "_events", "_sights", "dirty", "gone", "ids", "named", "named_at", "segments", "settled")

    def __init__(self, value: bytes, rest: dict[int, bytes] | None = None) -> None:
        state, self.named_at, self.named = PREFIX.unpack_from(value)
        self.settled = state == SETTLED
        if rest:
            parts = sorted([(0, value[START:]), *rest.items()], key=lambda part: part[1][:ORDER_SIZE])
            self.ids = [number for number, _ in parts]
            self.segments = [bytearray(content) for _, content in parts]
        else:
            self.ids, self.segments = [0], [bytearray(value[START:])]
        self.dirty: set[int] = set()
        self.gone: set[int] = set()
        self._events: dict[bytes, bytes] | None = None  # (event, fact or not) → order; of a home with several segments
        self._sights: list[bytes] | None = None  # orders of the sightings, likewise
        self._by_who: dict[int, list[bytes]] | None = None  # who → orders of their records, likewise
        if rest:
            self._build()

    def _build(self) -> None:
        self._events, self._sights, self._by_who = {}, [], {}
        for place in self.places():
            self._index(self.at(place))

    def _index(self, record: bytes) -> None:
        """Note a record of a home with several segments."""
        if self._events is None or self._sights is None or self._by_who is None:
            return
        order = record[:ORDER_SIZE]
        self._events[record[12:28] + bytes([record[FLAGS_AT] & FACT])] = order
        if record[FLAGS_AT] & SIGHTS:
            insort(self._sights, order)
        who = U32.unpack_from(record, WHO_AT)[0]
        if who:
            self._by_who.setdefault(who, []).append(order)

    # --- looking -------------------------------------------------------------------------------------------------

    def places(self) -> Iterator[Place]:
        for number, segment in enumerate(self.segments):
            for offset in range(0, len(segment), SIZE):
                yield number, offset

    def at(self, place: Place) -> bytes:
        number, offset = place
        return bytes(self.segments[number][offset : offset + SIZE])

    def time(self, place: Place) -> int:
        number, offset = place
        return int.from_bytes(self.segments[number][offset : offset + 8], "big")

    def who(self, place: Place) -> int:
        number, offset = place
        found: int = U32.unpack_from(self.segments[number], offset + WHO_AT)[0]
        return found

    def flags(self, place: Place) -> int:
        number, offset = place
        return self.segments[number][offset + FLAGS_AT]

    def order(self, place: Place) -> bytes:
        number, offset = place
        return bytes(self.segments[number][offset : offset + ORDER_SIZE])

    def existing(self, place: Place) -> Place | None:
        """The place, unless it is one behind the last."""
        return place if place[1] < len(self.segments[place[0]]) else None

    def find(self, event: bytes, fact: int) -> Place | None:
        """The touchpoint of an event (`fact` is FACT), or what another home said of it (0)."""
        if self._events is not None:
            order = self._events.get(event + bytes([fact]))
            return None if order is None else self._locate(order, fact)
        segment = self.segments[0]
        offset = segment.find(event)
        while offset >= 0:
            if offset % SIZE == 12 and segment[offset - 12 + FLAGS_AT] & FACT == fact:
                return 0, offset - 12
            offset = segment.find(event, offset + 1)
        return None

    def _locate(self, order: bytes, fact: int) -> Place:
        """Where the record of this order is; a touchpoint and a sighting of one event may have the same."""
        place = self.existing(self.lower(order))
        while place is not None and self.order(place) == order:
            if self.flags(place) & FACT == fact:
                return place
            place = self.next(place)
        raise AssertionError("the index names a record that is not there")

    def lower(self, order: bytes) -> Place:
        """The first place whose record does not come before `order`; it may be one behind the last."""
        number = 0
        if len(self.segments) > 1:
            number = max(0, bisect_left(self.segments, order, key=lambda s: bytes(s[:ORDER_SIZE])) - 1)
        segment = self.segments[number]
        low = len(segment) // SIZE
        for _ in range(2):  # nearly all that is looked for is last
            if low and segment[(low - 1) * SIZE : (low - 1) * SIZE + ORDER_SIZE] >= order:
                low -= 1
            else:
                break
        else:
            low = bisect_left(range(low), order, key=lambda i: bytes(segment[i * SIZE : i * SIZE + ORDER_SIZE]))
        if low * SIZE == len(segment) and number + 1 < len(self.segments):
            return number + 1, 0
        return number, low * SIZE

    def next(self, place: Place) -> Place | None:
        number, offset = place
        if offset + SIZE < len(self.segments[number]):
            return number, offset + SIZE
        return (number + 1, 0) if number + 1 < len(self.segments) else None

    def before(self, place: Place) -> Place | None:
        number, offset = place
        if offset:
            return number, offset - SIZE
        return (number - 1, len(self.segments[number - 1]) - SIZE) if number and self.segments[number - 1] else None

    def last(self) -> Place | None:
        return (len(self.segments) - 1, len(self.segments[-1]) - SIZE) if self.segments[-1] else None

    def only_marks(self) -> bool:
        """Is nothing here but what erased touchpoints have left?"""
        return all(
            segment[offset + FLAGS_AT] & MARK for segment in self.segments for offset in range(0, len(segment), SIZE)
        )

    def orders_of(self, who: int) -> list[bytes]:
        """Where the records that carry these names are; without walking through a home that has very many."""
        if self._by_who is not None:
            return list(self._by_who.get(who, ()))
        (segment,) = self.segments
        return [
            bytes(segment[offset : offset + ORDER_SIZE])
            for offset in range(0, len(segment), SIZE)
            if U32.unpack_from(segment, offset + WHO_AT)[0] == who
        ]

    def sighting_before(self, order: bytes) -> Place | None:
        """The nearest record before `order` that counts as a sighting, whoever it names."""
        if self._sights is not None:
            index = bisect_left(self._sights, order) - 1
            return self._sighting(self._sights[index]) if index >= 0 else None
        found = self.before(self.lower(order))
        while found is not None and not self.flags(found) & SIGHTS:
            found = self.before(found)
        return found

    def sighting_after(self, order: bytes) -> Place | None:
        """The nearest record behind `order` that counts as a sighting."""
        if self._sights is not None:
            index = bisect_right(self._sights, order)
            return self._sighting(self._sights[index]) if index < len(self._sights) else None
        found = self.existing(self.lower(order))
        while found is not None and (not self.flags(found) & SIGHTS or self.order(found) == order):
            found = self.next(found)
        return found

    def last_sighting(self) -> Place | None:
        if self._sights is not None:
            return self._sighting(self._sights[-1]) if self._sights else None
        found = self.last()
        while found is not None and not self.flags(found) & SIGHTS:
            found = self.before(found)
        return found

    def _sighting(self, order: bytes) -> Place:
        place = self.existing(self.lower(order))
        while place is not None and not self.flags(place) & SIGHTS:
            place = self.next(place)
        assert place is not None, "the index names a sighting that is not there"
        return place

    # --- changing ------------------------------------------------------------------------------------------------

    def insert(self, record: bytes) -> Place:
        number, offset = self.lower(record[:ORDER_SIZE])
        if offset == 0 and number and len(self.segments[number - 1]) < SEGMENT:
            number, offset = number - 1, len(self.segments[number - 1])
        segment = self.segments[number]
        segment[offset:offset] = record
        self.dirty.add(self.ids[number])
        if len(segment) > SEGMENT:
            # What comes in order leaves full segments behind, anything else halves.
            keep = len(segment) - SIZE if offset + SIZE == len(segment) else len(segment) // SIZE // 2 * SIZE
            fresh = max(self.ids) + 1
            self.segments.insert(number + 1, segment[keep:])
            self.ids.insert(number + 1, fresh)
            del segment[keep:]
            self.dirty.add(fresh)
            self.gone.discard(fresh)
            if offset >= keep:
                number, offset = number + 1, offset - keep
            if self._events is None:
                self._build()
                return number, offset
        self._index(record)
        return number, offset

    def remove(self, place: Place) -> None:
        number, offset = place
        record = self.at(place)
        del self.segments[number][offset : offset + SIZE]
        self.dirty.add(self.ids[number])
        if self._events is not None and self._sights is not None and self._by_who is not None:
            order = record[:ORDER_SIZE]
            del self._events[record[12:28] + bytes([record[FLAGS_AT] & FACT])]
            if record[FLAGS_AT] & SIGHTS:
                del self._sights[bisect_left(self._sights, order)]
            who = U32.unpack_from(record, WHO_AT)[0]
            if who:
                self._by_who[who].remove(order)
        if not self.segments[number] and self.ids[number]:
            gone = self.ids.pop(number)
            del self.segments[number]
            self.dirty.discard(gone)
            self.gone.add(gone)

    def assign(self, place: Place, via: int, moves: int) -> None:
        """Say through whom the touchpoint is whose it is."""
        number, offset = place
        segment = self.segments[number]
        U32.pack_into(segment, offset + VIA_AT, via)
        segment[offset + MOVES_AT : offset + MOVES_AT + 2] = moves.to_bytes(2, "big")
        self.dirty.add(self.ids[number])

    # --- keeping -------------------------------------------------------------------------------------------------

    def prefix(self) -> bytes:
        return PREFIX.pack(SETTLED if self.settled else UNSETTLED, self.named_at, self.named)

    def main(self) -> bytes:
        """The value under the home's own key: prefix and segment 0."""
        return self.prefix() + bytes(self.segments[self.ids.index(0)])

    def part(self, number: int) -> bytes:
        """The value of one of the other segments."""
        return bytes(self.segments[self.ids.index(number)])
