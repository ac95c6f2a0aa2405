"""Going on with the alerts that are open in the table. Pure.

A process that starts has counted the same minutes, but with what arrived late: the same alert may have opened in another one.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from alerts.causes import Cause, alert
from alerts.counts import MINUTE_MS, Key, Series
from alerts.watch import State
from schemas.alert import Alert


def resumed(state: State, stored: Iterable[Alert]) -> tuple[State, list[Alert]]:
    """The state with the ids that are known outside, and what is to be said: what is over, and what nobody was told of."""
    left, causes, said = list(state.causes), [], []
    members = {member for cause in left for member in cause.members}
    # Who alarms itself goes before who is only related: else one could take the other's place.
    for known in sorted(stored, key=lambda one: (_key(one) not in members, one.opened_at, one.alert_id)):
        key = _key(known)
        same = next((cause for cause in left if any(key.related(member) for member in cause.members)), None)
        if same is None:
            at = max(known.version + 1, state.minute * MINUTE_MS)
            said.append(msgspec.structs.replace(known, change="resolved", resolved_at=at, version=at))
        else:
            left.remove(same)
            others = tuple(member for member in same.members if member != key)
            causes.append(Cause((key, *others), known.opened_at // MINUTE_MS, same.run))
    said += [alert(cause, "opened", state.minute) for cause in left]
    return msgspec.structs.replace(state, causes=(*causes, *left)), said


def _key(alert: Alert) -> Key:
    return Key(Series(alert.journey, alert.stage, alert.channel), alert.measure)
