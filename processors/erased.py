"""What one partition of the identity leg keeps of people who were erased: nothing by which they could be named.

State, by the first letter of its keys, each followed by a keyed hash: x names that were erased and up to when (every partition
has all), g marks on the devices that live here, p erased partners of the names that live here. What they mean is said in
`schemas/erasure.py`. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from struct import Struct

from processors.timeline import ORDER, ORDER_SIZE
from schemas.erasure import Gone, Mark, Partner

SUPPRESSED, MARKS, PARTNERS = b"x", b"g", b"p"
HASH = 16
_UNTIL = Struct(">Q")
_PLACE = Struct(">I")  # where the plain identifier hashes to, by which `topics resize` finds the new partition
SEEN_NOBODY = 0  # time of a mark that is no sighting: it only says that its event is erased

Marked = Mapping[bytes, bytes]  # event → its place in the order


class Erasures:
    """See the module. `person` is the keyed hash of an identifier; what is asked by identifier needs it."""

    def __init__(self, person: Callable[[str], bytes] | None = None) -> None:
        self._person = person or _unasked
        self._until: dict[bytes, int] = {}
        self._latest = -1
        self._marks: dict[bytes, dict[bytes, bytes]] = {}
        self._partners: dict[bytes, set[bytes]] = {}
        self._places: dict[bytes, int] = {}
        self._state: dict[bytes, bytes | None] = {}

    # --- state ---------------------------------------------------------------------------------------------------

    def restore(self, key: bytes, value: bytes) -> None:
        kind, of = key[:1], key[1:]
        if kind == SUPPRESSED:
            self._until[of] = _UNTIL.unpack(value)[0]
            self._latest = max(self._latest, self._until[of])
            return
        self._places[kind + of] = _PLACE.unpack_from(value)[0]
        kept = value[_PLACE.size :]
        if kind == MARKS:
            self._marks[of] = {order[12:]: order for order in _parts(kept, ORDER_SIZE)}
        else:
            self._partners[of] = set(_parts(kept, HASH))

    def take_state(self) -> dict[bytes, bytes | None]:
        """What has changed since this was last asked."""
        state, self._state = self._state, {}
        return state

    # --- what is asked -------------------------------------------------------------------------------------------

    def forbids(self, names: Iterable[str], at: int) -> bool:
        """Does a touchpoint of then (ms UTC) carry the name of somebody who was erased since?"""
        return at <= self._latest and any(at <= self._until.get(self._person(name), -1) for name in names)

    def until(self, name: str) -> int:
        """What carries the name and occurred up to then (ms UTC) is erased; -1: nothing is."""
        return self._until.get(self._person(name), -1) if self._until else -1

    def marks(self, device: str) -> Marked:
        """The erased touchpoints of a device."""
        return self._marks.get(self._person(device), {}) if self._marks else {}

    def partners(self, name: str) -> Iterable[bytes]:
        """Hashes of the erased names that stood beside this one."""
        return self._partners.get(self._person(name), ()) if self._partners else ()

    # --- what is told --------------------------------------------------------------------------------------------

    def suppress(self, names: Iterable[bytes], at: int) -> None:
        """What carries one of these names (hashes) and occurred up to `at` (ms UTC) is erased."""
        for name in names:
            self._until[name] = max(at, self._until.get(name, -1))
            self._state[SUPPRESSED + name] = _UNTIL.pack(self._until[name])
        self._latest = max(self._latest, at)

    def mark(self, gone: Iterable[Gone], marks: Iterable[Mark]) -> Mapping[bytes, Marked]:
        """Keep marks; those that are new, by the hash of their device."""
        fresh: dict[bytes, dict[bytes, bytes]] = {}
        for one in gone:
            device, event = bytes.fromhex(one.home.id), bytes.fromhex(one.event_id)
            if event not in self._marks.get(device, {}):
                fresh.setdefault(device, {})[event] = ORDER.pack(SEEN_NOBODY, 0, event)
            self._places[MARKS + device] = one.home.place
        for mark in marks:
            device, event = bytes.fromhex(mark.device.id), bytes.fromhex(mark.event_id)
            order, known = ORDER.pack(mark.at, mark.sequence + 1, event), self._marks.get(device, {}).get(event)
            if known is None or (known != order and mark.at != SEEN_NOBODY):  # who was seen stays seen
                fresh.setdefault(device, {})[event] = order
            self._places[MARKS + device] = mark.device.place
        for device, events in fresh.items():
            self._marks.setdefault(device, {}).update(events)
            self._keep(MARKS + device, self._marks[device].values())
        return fresh

    def partner(self, partners: Iterable[Partner]) -> set[bytes]:
        """Keep erased partners; the hashes of the names that have one more."""
        changed = set()
        for one in partners:
            name, partner = bytes.fromhex(one.name.id), bytes.fromhex(one.partner)
            known = self._partners.setdefault(name, set())
            if partner not in known:
                known.add(partner)
                changed.add(name)
                self._places[PARTNERS + name] = one.name.place
        for name in changed:
            self._keep(PARTNERS + name, sorted(self._partners[name]))
        return changed

    def _keep(self, key: bytes, parts: Iterable[bytes]) -> None:
        self._state[key] = _PLACE.pack(self._places[key]) + b"".join(parts)


def _unasked(identifier: str) -> bytes:
    raise TypeError(f"who is {identifier}? these erasures were made without a secret")


def place(value: bytes) -> int:
    """Where the plain identifier of a mark's or partner's state record hashes to."""
    found: int = _PLACE.unpack_from(value)[0]
    return found


def _parts(value: bytes, size: int) -> list[bytes]:
    return [value[start : start + size] for start in range(0, len(value), size)]
