"""Whose each touchpoint at a home is, as far as is known: decided anew where a sighting came, went or changed. Pure.

A touchpoint goes through the names on it; without names that count, through those of the next sighting on its home within the
look-back, else of the last, else it is the home's own. Who had it and who has it now are told with a rising version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from struct import Struct
from typing import Protocol

from processors.coding import Coding
from processors.timeline import (
    FACT,
    MOVES_AT,
    NOBODY,
    RECORD,
    RETRACTED,
    SHARED,
    SIGHTS,
    U32,
    VIA_AT,
    WAITING,
    Place,
    Timeline,
)
from processors.whos import SHARED_NAMES, Whos
from schemas.identity import Kinds
from schemas.person import FoldRecord

_HEAD = Struct(">QI16sIIIHIB")  # a record without what the journey needs
# A touchpoint that changed hands so often stays where it is: the version has no room for more, and a worker must not stop.
MOST_MOVES = 60_000


class Assign(Protocol):
    """Says whose a touchpoint is; `record` None: not this person's any more."""

    def __call__(
        self, person: bytes, event: bytes, revision: int, move: int, arrived: int, cause: str, record: FoldRecord | None
    ) -> None: ...


class Ownership:
    """See the module. `person` is the keyed hash of an identifier."""

    def __init__(
        self, kinds: Kinds, *, whos: Whos, coding: Coding, person: Callable[[str], bytes], assign: Assign
    ) -> None:
        self._kinds, self._whos, self._coding, self._person, self._assign = kinds, whos, coding, person, assign
        self.blocked: dict[str, int] = {}  # device → version of the last order; negative: it lifted the block
        self._reaches: dict[str, tuple[int, int]] = {}
        self.arrived, self.cause = 0, ""  # of what is being taken: its append time, ms UTC, and why touchpoints move

    def told(self, home: str, via: int) -> bytes | None:
        """Whom the touchpoints that go through this were given to."""
        if via == WAITING:
            return None
        return self._person(home) if via == NOBODY else self._whos.by_number[via].told

    def reach(self, home: str) -> tuple[int, int]:
        """The look-back here, and that of shared sources; -1: the home is a name."""
        kind = home.partition(":")[0]
        found = self._reaches.get(kind)
        if found is None:
            look_back = self._kinds.look_back
            found = self._reaches[kind] = look_back(home, shared=False), look_back(home, shared=True)
        return found

    def take_away(self, person: bytes, event: bytes, revision: int, move: int) -> None:
        self._assign(person, event, revision, move, self.arrived, self.cause, None)

    def _counts(self, place: Place, timeline: Timeline) -> bool:
        """Does this sighting name somebody, as far as is known? A mark does: somebody who was erased."""
        who = timeline.who(place)
        return not who or self._whos.by_number[who].person != SHARED_NAMES

    def reconsider(self, home: str, timeline: Timeline, orders: Sequence[bytes], alone: Sequence[bytes] = ()) -> None:
        """Whose are the touchpoints around these places of the order, and those at `alone`, by themselves?

        They are told in journey order, in which the stitch leg takes them quickest.
        """
        reach = self.reach(home)
        longest = max(reach)
        explains = longest >= 0 and self.blocked.get(home, 0) <= 0
        around = set(orders)
        considered: set[Place] = set()  # nothing is inserted meanwhile
        for order in dict.fromkeys((*orders, *alone)):
            before, after, here = None, None, None
            if explains:
                before = timeline.sighting_before(order)
                while before is not None and not self._counts(before, timeline):
                    before = timeline.sighting_before(timeline.order(before))
                after = timeline.sighting_after(order)
                while after is not None and not self._counts(after, timeline):
                    after = timeline.sighting_after(timeline.order(after))
            start = timeline.lower(order)
            place = timeline.existing(start)
            own: list[Place] = []
            while place is not None and timeline.order(place) == order:
                own.append(place)
                if timeline.flags(place) & SIGHTS and self._counts(place, timeline):
                    here = place
                place = timeline.next(place)
            earlier: list[Place] = []
            later: list[Place] = []
            if explains and order in around:
                time = int.from_bytes(order[:8], "big")
                while place is not None and place != after and timeline.time(place) - time <= longest:
                    later.append(place)
                    place = timeline.next(place)
                place = timeline.before(start)
                while place is not None and place != before and time - timeline.time(place) <= longest:
                    earlier.append(place)
                    place = timeline.before(place)
            for places, last, coming in (
                (earlier[::-1], before, here or after),
                (own, before, after),
                (later, here or before, after),
            ):
                fresh = [one for one in places if one not in considered] if considered else places
                considered.update(fresh)
                self._consider(home, timeline, fresh, last, coming, reach)

    def _consider(
        self,
        home: str,
        timeline: Timeline,
        places: Sequence[Place],
        before: Place | None,
        after: Place | None,
        reach: tuple[int, int],
    ) -> None:
        """Touchpoints between two sightings."""
        by_number = self._whos.by_number
        for place in places:
            at, _, event, who, via, _, moves, revision, flags = _HEAD.unpack_from(timeline.segments[place[0]], place[1])
            if flags & (FACT | RETRACTED) != FACT:
                continue
            through = NOBODY
            if who and by_number[who].person != SHARED_NAMES:
                through = who
            else:
                look_back = reach[bool(flags & SHARED)]
                if after is not None and timeline.time(after) - at <= look_back:
                    through = timeline.who(after)
                elif before is not None and at - timeline.time(before) <= look_back:
                    through = timeline.who(before)
            person = by_number[through].person if through else self._person(home)
            old = self.told(home, via)
            if person is None:  # its name has not answered yet: nobody's until then, unless it is the home's own
                if old is not None and via != NOBODY and moves < MOST_MOVES:
                    timeline.assign(place, WAITING, moves + 1)
                    self.take_away(old, event, revision, moves + 1)
                continue
            if old == person:
                if through != via:
                    timeline.assign(place, through, moves)
                continue
            if moves >= MOST_MOVES and self.cause != "erasure":
                continue
            timeline.assign(place, through, moves + 1)
            self._give(timeline, place, old, person, self.cause if moves or revision else "")

    def _give(self, timeline: Timeline, place: Place, old: bytes | None, person: bytes, cause: str) -> None:
        at, sequence, event, _, _, _, moves, revision, _, *payload = RECORD.unpack(timeline.at(place))
        if old is not None:
            self._assign(old, event, revision, moves, self.arrived, cause, None)
        record = self._coding.unpack(at, sequence - 1, tuple(payload))
        self._assign(person, event, revision, moves, self.arrived, cause, record)

    def retell(self, home: str, timeline: Timeline, number: int, person: bytes, orders: Iterable[bytes]) -> None:
        """The person of a combination has another name now: give them all that went through it."""
        old, seen = self._whos.by_number[number].told, set()
        longest = max(self.reach(home))
        for order in orders:
            time = int.from_bytes(order[:8], "big")
            start = timeline.existing(timeline.lower(order))
            assert start is not None, "a record's own order"
            for turn in (timeline.next, timeline.before):
                place: Place | None = start
                while place is not None and (place == start or self._between(timeline, place, order, time, longest)):
                    if place not in seen and U32.unpack_from(timeline.at(place), VIA_AT)[0] == number:
                        flags = timeline.flags(place)
                        if flags & (FACT | RETRACTED) == FACT:
                            seen.add(place)
                            moves = int.from_bytes(timeline.at(place)[MOVES_AT : MOVES_AT + 2], "big")
                            if moves < MOST_MOVES:
                                timeline.assign(place, number, moves + 1)
                                self._give(timeline, place, old, person, self.cause)
                    place = turn(place)

    def _between(self, timeline: Timeline, place: Place, order: bytes, time: int, longest: int) -> bool:
        """Within reach of the sighting at `order`, and no other that counts comes first?"""
        if timeline.flags(place) & SIGHTS and timeline.order(place) != order and self._counts(place, timeline):
            return False
        return abs(timeline.time(place) - time) <= longest
