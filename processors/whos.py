"""Who stands on a touchpoint, as one number: its names, and the further devices that they were seen on.

A partition keeps each combination once, with the homes that have it, and knows whose it is at present: the person of the
first name that is not shared. It also says which names its touchpoints link.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from itertools import combinations

import msgspec

from processors.names import Heard

WHO = b"n"
SHARED_NAMES = b""  # instead of a person: all names are shared
NO_PERSON = bytes(16)

_pack = msgspec.msgpack.Encoder().encode
_kept = msgspec.msgpack.Decoder(tuple[tuple[str, ...], tuple[str, ...], bytes])


class Who:
    """One combination. `person`: None while a name has not answered, SHARED_NAMES, else 16 bytes; `told`: the last of
    these that was somebody."""

    __slots__ = ("homes", "live", "names", "others", "person", "told")

    def __init__(self, names: tuple[str, ...], others: tuple[str, ...]) -> None:
        self.names, self.others = names, others
        self.person: bytes | None = None
        self.told = NO_PERSON
        self.live = 0  # touchpoints at home here that carry it
        self.homes: dict[str, None] = {}


class Whos:
    """All combinations of a partition, by number from 1."""

    def __init__(self, heard: dict[str, Heard], person: Callable[[str], bytes]) -> None:
        self._heard, self._person = heard, person
        self._numbers: dict[tuple[tuple[str, ...], tuple[str, ...]], int] = {}
        self._by_name: defaultdict[str, list[int]] = defaultdict(list)
        self._last = 0
        self.by_number: dict[int, Who] = {}
        self._state: dict[bytes, bytes | None] = {}

    def restore(self, key: bytes, value: bytes) -> None:
        """Take one from the state, when everything that was heard is known."""
        names, others, told = _kept.decode(value)
        number = int.from_bytes(key[1:], "big")
        self._add(number, names, others).told = told

    def take_state(self) -> dict[bytes, bytes | None]:
        state, self._state = self._state, {}
        return state

    def keep(self, number: int) -> None:
        who = self.by_number[number]
        self._state[WHO + number.to_bytes(4, "big")] = _pack((who.names, who.others, who.told))

    def _add(self, number: int, names: tuple[str, ...], others: tuple[str, ...]) -> Who:
        who = self.by_number[number] = Who(names, others)
        self._numbers[names, others] = number
        self._last = max(self._last, number)
        for name in names:
            self._by_name[name].append(number)
        who.person = self.present(who)
        return who

    def drop(self, number: int) -> tuple[str, ...]:
        """Forget a combination that no home has any more; its names."""
        who = self.by_number.pop(number)
        del self._numbers[who.names, who.others]
        for name in who.names:
            self._by_name[name].remove(number)
            if not self._by_name[name]:
                del self._by_name[name]
        self._state[WHO + number.to_bytes(4, "big")] = None
        return who.names

    def all_names(self) -> Collection[str]:
        """Every name that some combination has."""
        return self._by_name.keys()

    def known(self, names: tuple[str, ...], others: tuple[str, ...]) -> int:
        """Its number, 0 if it has none yet."""
        return self._numbers.get((names, others), 0)

    def number(self, names: tuple[str, ...], others: tuple[str, ...]) -> int:
        """The number of a combination, which may be new."""
        number = self._numbers.get((names, others))
        if number is None:
            number = self._last + 1
            who = self._add(number, names, others)
            who.told = who.person or NO_PERSON
            self.keep(number)
        return number

    def present(self, who: Who) -> bytes | None:
        """Whose it is by what has been heard."""
        for name in who.names:
            heard = self._heard.get(name)
            if heard is None:
                return None
            if not heard.shared:
                return self._person(heard.person)
        return SHARED_NAMES

    def with_name(self, name: str) -> list[int]:
        return self._by_name.get(name, [])

    def count(self, number: int, more: int) -> Iterator[tuple[str, str, bool]]:
        """So many touchpoints more (or fewer) carry it: the pairs of names that are linked by this, or no longer are."""
        who = self.by_number[number]
        before = who.live
        who.live += more
        if bool(before) == bool(who.live):
            return
        for one, other in combinations(who.names, 2):
            elsewhere = any(
                other in self.by_number[code].names and self.by_number[code].live and code != number
                for code in self._by_name[one]
            )
            if not elsewhere:
                yield one, other, bool(who.live)
