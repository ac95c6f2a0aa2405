"""The horizon: when what is kept of a person leaves the state, and what stays of them. Pure.

So long after the newest news of a person arrived, all their journeys have ended: the horizon is at least every `ends_after`.
Then their touchpoints go. What stays is a fence among the records: a mark that stands at `closed_at`, the last touchpoint plus
the longest `ends_after`. What occurred up to there could belong to a journey that is not known any more: it is late. What
occurred after it could not: it is folded as ever, and comes behind the fence in the order, so nothing else need know of it.

Times in ms UTC. `as_of` is that of the watermark up to which deadlines have passed; so who leaves before which touchpoint is
a function of the log, whatever was killed or how much was done in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from processors.deadlines import Calendar
from processors.packing import GONE, ORDER_SIZE, RECORD, SIZE, news
from schemas.definition import Definition
from schemas.rule import UNITS

HORIZON = 180 * UNITS["d"]
# Sequence + 1 and event id of a fence: no touchpoint has them, and none of its time comes behind it.
_LAST = b"\xff" * 20
_RULES_AT = ORDER_SIZE + 10


class HorizonTooShort(ValueError):
    """Journeys would leave the state before they end: says which, and what to set."""


def check(horizon: int, definitions: Sequence[Definition]) -> None:
    """HorizonTooShort unless every journey ends within the horizon."""
    longest = max(definitions, key=lambda one: one.ends_after)
    if horizon < longest.ends_after:
        days = [f"{one / UNITS['d']:g}" for one in (horizon, longest.ends_after)]
        raise HorizonTooShort(
            f"the horizon is {days[0]} days, but a journey {longest.name!r} ends after {days[1]} days of silence; set "
            f"DESIRELINE_HORIZON to at least {days[1]}, or a shorter ends_after"
        )


def fence(closed_at: int) -> bytes:
    """The record behind which somebody's touchpoints are kept again."""
    return RECORD.pack(closed_at, 0xFFFF_FFFF, _LAST[4:], 0, 0, 0, 0, GONE, 0, 0)


def closed_at(value: bytes) -> int:
    """Up to when a person is closed: what occurred until then is late; -1: never closed."""
    at = value.find(_LAST)
    while at >= 0 and (at - 9) % SIZE:  # the time before it may end in such bytes too
        at = value.find(_LAST, at + 1)
    return -1 if at < 0 else int.from_bytes(value[at - 8 : at], "big")


def is_mark(record: bytes) -> bool:
    """Is it a fence, or does it only say that a touchpoint is gone?"""
    return int.from_bytes(record[_RULES_AT : _RULES_AT + 2], "big") == GONE


class Horizon:
    """Who leaves when. It holds everybody of whom there is something to leave."""

    def __init__(self, horizon: int, definitions: Sequence[Definition], head_size: int) -> None:
        self._horizon = horizon
        self._longest = max(definition.ends_after for definition in definitions)
        self._head_size = head_size
        self._calendar = Calendar()

    def leaves_at(self, value: bytes) -> int:
        """When they leave, unless there is other news; 0: there is nothing to leave. Not before their journeys have ended,
        whatever a clock said when their last touchpoint occurred."""
        end = len(value) - self._head_size
        if end == 1 or (end == 1 + SIZE and value.startswith(_LAST, 9)):
            return 0
        return max(news(value), int.from_bytes(value[end - SIZE : end - SIZE + 8], "big")) + self._horizon

    def expect(self, person: bytes, value: bytes) -> None:
        """This person was nobody until now, or only closed; to be told once or more often."""
        if at := self.leaves_at(value):
            self._calendar.add(at, person)

    def reached(self, as_of: int) -> bool:
        """May there be anybody who leaves?"""
        return self._calendar.reached(as_of)

    def take(self, as_of: int, most: int, value_of: Callable[[bytes], bytes]) -> list[bytes]:
        """Who leaves now, the earliest first, at most so many; they are not held any more."""
        return self._calendar.take(as_of, most, lambda person: self.leaves_at(value_of(person)))

    def leaves(self, value: bytes, as_of: int) -> bool:
        """Do they leave now?"""
        return 0 < self.leaves_at(value) < as_of

    def remains(self, value: bytes) -> bytes:
        """The records that stay of a person: a fence, or none where there never was a touchpoint that counted."""
        end = len(value) - self._head_size
        last = value[end - SIZE : end]
        if not is_mark(last):
            return fence(int.from_bytes(last[:8], "big") + self._longest)
        closed = closed_at(value)
        return b"" if closed < 0 else fence(closed)
