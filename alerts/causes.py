"""One open alert per cause: what alarms while a related series does joins its alert, and what lies in the past of one is told.

Pure. Related is the same channel, or the same stage (`Key.related`), and a cause is as wide as everything that joined it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from alerts.chart import Run
from alerts.counts import MINUTE_MS, Key, Rules
from schemas.alert import Alert, AlertChange, alert_id


class Cause(msgspec.Struct, frozen=True, gc=False):
    """An open alert. `members` begins with the series that it is named by."""

    members: tuple[Key, ...]
    opened: int  # minute
    run: Run  # of the first member


class Told(msgspec.Struct, frozen=True, gc=False):
    """A resolved alert: what happened to these series in these minutes is known."""

    members: tuple[Key, ...]
    since: int
    until: int


class Alarm(NamedTuple):
    """A chart that alarms from now on."""

    key: Key
    depth: float
    run: Run


def known(told: Iterable[Told], key: Key, minute: int) -> bool:
    """Is what happened in that minute part of an alert that was resolved? Drop-offs follow a patience after their cause."""
    return any(one.since <= minute <= one.until and any(key.related(member) for member in one.members) for one in told)


def joined(causes: tuple[Cause, ...], alarms: Iterable[Alarm], minute: int) -> tuple[tuple[Cause, ...], list[Alert]]:
    """The causes with the new alarms. What is related to none opens one, the deepest first, and others may be related to it."""
    found = list(causes)
    kinds: dict[int, AlertChange] = {}  # by place in `found`
    waiting = sorted(alarms, key=lambda one: (-one.depth, one.key))
    while waiting:
        alarm, place = next(_belonging(waiting, found), (waiting[0], None))
        waiting.remove(alarm)
        if place is None:
            kinds[len(found)] = "opened"
            found.append(Cause((alarm.key,), minute, alarm.run))
        elif alarm.key not in found[place].members:  # else it is back before its alert was resolved
            kinds.setdefault(place, "widened")
            cause = found[place]
            found[place] = Cause((*cause.members, alarm.key), cause.opened, cause.run)
    return tuple(found), [alert(found[place], kind, minute) for place, kind in kinds.items()]


def _belonging(alarms: Iterable[Alarm], causes: list[Cause]) -> Iterator[tuple[Alarm, int]]:
    for alarm in alarms:
        for place, cause in enumerate(causes):
            if any(alarm.key.related(member) for member in cause.members):
                yield alarm, place


def lasting(
    causes: Iterable[Cause], alarmed: Collection[Key], runs: Mapping[Key, Run], minute: int, rules: Rules
) -> tuple[tuple[Cause, ...], list[tuple[Cause, bool]]]:
    """Those that go on, with the figures of now, and those that are over, with whether they have become the new usual."""
    going_on: list[Cause] = []
    over: list[tuple[Cause, bool]] = []
    for before in causes:
        cause = Cause(before.members, before.opened, runs.get(before.members[0], before.run))
        alarms = any(member in alarmed for member in cause.members)
        if alarms and minute - cause.opened < rules.settles:
            going_on.append(cause)
        else:
            over.append((cause, alarms))
    return tuple(going_on), over


def alert(cause: Cause, change: AlertChange, minute: int, settled: bool = False) -> Alert:
    """The alert of a cause as it stands in that minute."""
    (series, measure), *others = cause.members
    opened_at, at = cause.opened * MINUTE_MS, minute * MINUTE_MS
    expected, good = cause.run.expected / cause.run.stays, cause.run.good / cause.run.stays
    return Alert(
        alert_id=alert_id(*series, measure, opened_at),
        change=change,
        journey=series.journey,
        stage=series.stage,
        channel=series.channel,
        measure=measure,
        since=cause.run.since * MINUTE_MS,
        opened_at=opened_at,
        resolved_at=at if change == "resolved" else 0,
        settled=settled,
        stays=cause.run.stays,
        expected=expected if measure == "progress" else 1 - expected,
        observed=good if measure == "progress" else 1 - good,
        lost=cause.run.lost,
        also=[str(other) for other in others],
        version=at,
    )
