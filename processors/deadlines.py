"""When people's journeys change by themselves: the calendar of one partition, and how long it waits after an outage. Pure.

Every time here is one of the watermark (ms UTC): how far everything that arrived has been read. No clock is asked, so a process
that was stopped, paused or given another time finds its deadlines as they were, and what arrived meanwhile is read before they
pass. The calendar is rebuilt from the people's heads while a partition opens, without folding anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

QUIET = 60_000  # ms without news of a person before a deadline passes that was over when its touchpoint arrived
STANDSTILL = 10_000  # ms that the watermark moves at once where it stood still before
OUTAGE_GRACE = 300_000  # ms that deadlines wait then, so that clients can deliver what they held back
_PAGE_BITS = 16  # a page holds 2^16 ms, a good minute


def alarm(due: int, arrived: int, kept: int = 0) -> int:
    """When to look at somebody whose first deadline is `due` (0: none) and whose newest touchpoint arrived at `arrived`.

    `kept` is the alarm so far: a deadline that it stands for stays one that was ahead when its touchpoint arrived.
    """
    return due if not due or due >= arrived or due == kept else arrived + QUIET


def historical(deadline: int, alarm: int) -> bool:
    """Had this deadline passed when its touchpoint arrived? Told by the alarm, which then is `QUIET` after the arrival."""
    return deadline < alarm - QUIET


def passed(deadlines_at: int, waits_until: int, before: int, as_of: int, grace: int) -> tuple[int, int]:
    """Up to when deadlines have passed, and until when they wait, once the watermark has gone from `before` (0: there was
    none) to `as_of`. The first never goes back."""
    if before and as_of - before > STANDSTILL:
        waits_until = as_of + grace
    return (deadlines_at if as_of < waits_until else as_of), waits_until


class Calendar:
    """Who is to be looked at when. It holds everybody at their alarm or earlier; who has moved on is filed again then.

    So touchpoints, which nearly always move an alarm further away, cost nothing here. Far pages are plain lists; only the
    people of pages that have come are put in order.
    """

    def __init__(self) -> None:
        self._pages: dict[int, list[bytes]] = {}
        self._far: list[int] = []  # heap of the pages' numbers
        self._near: list[tuple[int, bytes]] = []  # heap of alarms in pages that have come
        self._come = -1

    def add(self, at: int, person: bytes) -> None:
        """Look at this person once `at` has passed."""
        number = at >> _PAGE_BITS
        if number <= self._come:
            heappush(self._near, (at, person))
            return
        page = self._pages.get(number)
        if page is None:
            self._pages[number] = [person]
            heappush(self._far, number)
        else:
            page.append(person)

    def reached(self, now: int) -> bool:
        """Is there anything for `take`?"""
        return bool((self._near and self._near[0][0] < now) or (self._far and self._far[0] << _PAGE_BITS < now))

    def take(self, now: int, most: int, alarm_of: Callable[[bytes], int]) -> list[bytes]:
        """The people whose alarm lies before `now`, the earliest first, at most so many; they are not held any more.

        `alarm_of` tells a person's present alarm, 0 for none.
        """
        found: dict[bytes, None] = {}
        while len(found) < most and self.reached(now):
            if self._far and (not self._near or self._far[0] << _PAGE_BITS <= self._near[0][0]):
                self._come = heappop(self._far)
                for person in set(self._pages.pop(self._come)):
                    if at := alarm_of(person):
                        self.add(at, person)
                continue
            at, person = heappop(self._near)
            present = alarm_of(person)
            if present == at:
                found[person] = None
            elif present:
                self.add(present, person)
        return list(found)
