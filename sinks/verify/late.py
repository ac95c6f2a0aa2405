"""What came after the horizon of its customer, as the stitch leg says: is that so, and what follows from it? Pure.

A late touchpoint is in no journey until a replay. So journeys are compared without it, exactly, and it is named by itself;
that its customer had no news for the horizon is checked with the times at which their other touchpoints arrived. What a late
correction, retraction or move has changed of closed journeys cannot be known, for what was there before is gone: that explains
a difference in journeys from before they were closed.

Ids are 32 hex digits, times ms UTC.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from sinks.verify.compare import UNEXPLAINED, Difference

LATE = "late: it came after the horizon of its customer, and waits for a replay"
RESTATED = "late: something that these closed journeys rest on was changed after the horizon, and waits for a replay"
NOT_SILENT = UNEXPLAINED + ": it is said to be late, but its customer was not silent for the horizon"
TABLE = "late"


class CameLate(NamedTuple):
    """A row of the table `late`."""

    event: str
    person: str
    version: int  # revision << 32 | move
    cause: str
    at: int  # 0: it is not the person's any more
    closed_at: int
    arrived: int
    stands: bool  # nothing newer was said


class Lateness:
    """All of them, by person."""

    def __init__(self, rows: Iterable[CameLate] = ()) -> None:
        self._by_person: dict[str, dict[str, CameLate]] = defaultdict(dict)
        self.restated: dict[str, int] = {}  # person → up to when journeys may rest on what is not so any more
        for row in rows:
            if row.stands:
                self._by_person[row.person][row.event] = row
            if not row.at or row.cause or row.version >> 32:
                self.restated[row.person] = max(row.closed_at, self.restated.get(row.person, 0))

    def of(self, person: str) -> Mapping[str, CameLate]:
        """The touchpoints of a person that are in no journey, by event."""
        return self._by_person.get(person, {})

    def named(self, person: str, arrivals: Mapping[str, int], horizon: int) -> Iterator[Difference]:
        """The late ones among a person's touchpoints, of which `arrivals` tells the times."""
        late = self.of(person)
        news = sorted(at for event, at in arrivals.items() if event not in late)
        for event in sorted(arrivals.keys() & late.keys()):
            row = late[event]
            yield Difference(
                TABLE,
                event,
                "missing",
                expected={"person_id": person, "at": row.at, "closed_at": row.closed_at},
                people=(person,),
                cause=LATE if row.at <= row.closed_at and _silent(news, row.arrived, horizon) else NOT_SILENT,
            )


def _silent(news: Sequence[int], arrived: int, horizon: int) -> bool:
    """Was there no news for the horizon before something arrived?"""
    place = bisect_left(news, arrived)
    return not place or news[place - 1] + horizon < arrived
