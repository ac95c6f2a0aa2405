"""The prepared figures once more: counted from expected journeys, a journey at a time, in plain Python. Pure.

A rollup is a table of counts per group; its columns are the migration's (0004_rollups.sql), with the first two of every group
being definition and bucket, in s since 1970 (hour of start) or days since 1970 (day of start).
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

HOUR, DAY = 3_600_000, 86_400_000
MOST_STEPS = 6
Journey = Mapping[str, Any]  # a row of sinks.verify.plain
Group = tuple[Any, ...]


class Rollup(NamedTuple):
    """Names of a rollup's columns: of the groups, and of their counts; a group without `counts[0]` is none."""

    groups: tuple[str, ...]
    counts: tuple[str, ...]

    @property
    def hourly(self) -> bool:
        return self.groups[1] == "hour"


_DAILY = ("definition", "day", "entry_channel")
ROLLUPS = {
    "rollup_funnel": Rollup(
        ("definition", "hour", "entry_channel", "stage"),
        ("entered", "moved_on", "dropped_off", "still_open", "recovered", "decided", "completed"),
    ),
    "rollup_transitions": Rollup((*_DAILY, "touchpoint", "next_touchpoint"), ("transitions",)),
    "rollup_steps": Rollup((*_DAILY, "step", "channel", "next_channel"), ("journeys",)),
    "rollup_touchpoints": Rollup(
        (*_DAILY, "channel", "touchpoint"),
        (
            "touchpoints", "journeys", "dropped_after", "repeats", "escalations", "wait_ms", "nps_promoters",
            "nps_detractors", "nps_answers", "csat_satisfied", "csat_answers", "ces_easy", "ces_sum", "ces_answers",
            "stars_sum", "stars_answers",
        ),
    ),
    "rollup_channel_paths": Rollup((*_DAILY, "channel_path"), ("journeys", "completed")),
}  # fmt: skip


class Figures:
    """Counts by rollup and group."""

    def __init__(self) -> None:
        self._found: dict[str, dict[Group, Counter[str]]] = {name: defaultdict(Counter) for name in ROLLUPS}

    def add(self, journey: Journey) -> None:
        """Count a journey, with its status as at the moment that the figures are to be compared at."""
        hour = (journey["definition"], journey["started_at"] // HOUR * HOUR // 1000, journey["entry_channel"])
        day = (journey["definition"], journey["started_at"] // DAY, journey["entry_channel"])
        for table, start, counted in (
            ("rollup_funnel", hour, _funnel(journey)),
            ("rollup_transitions", day, _transitions(journey)),
            ("rollup_steps", day, _steps(journey)),
            ("rollup_touchpoints", day, _touchpoints(journey)),
            ("rollup_channel_paths", day, _channel_path(journey)),
        ):
            groups = self._found[table]
            for rest, counts in counted:
                groups[*start, *rest].update(counts)

    def of(self, table: str) -> dict[Group, tuple[int, ...]]:
        """Counts of every group, in the order of the rollup's columns."""
        columns = ROLLUPS[table].counts
        return {group: tuple(int(counts[name]) for name in columns) for group, counts in self._found[table].items()}


Counted = Iterator[tuple[Group, dict[str, int]]]


def compact(path: list[Any]) -> list[Any]:
    """Without what repeats the one before it."""
    return [one for step, one in enumerate(path) if step == 0 or one != path[step - 1]]


def _funnel(journey: Journey) -> Counted:
    completed = journey["status"] == "completed"
    silences = list(zip(journey["drop_off_stage"], journey["recovered_at"], strict=True))
    left = compact([stage for stage in journey["path_stage"] if stage])[:-1]
    for stage in range(1, journey["stages"].bit_length()):
        if not journey["stages"] >> stage & 1:
            continue
        dropped = journey["status"] == "dropped_off" and journey["stage"] == stage
        recovered = any(back and at == stage for at, back in silences)
        moved = not dropped and (completed or stage in left)
        yield (
            (stage,),
            {
                "entered": 1,
                "moved_on": moved,
                "dropped_off": dropped,
                "still_open": not moved and not dropped,
                "recovered": recovered,
                "decided": moved or dropped or recovered,
                "completed": completed,
            },
        )


def _transitions(journey: Journey) -> Counted:
    path = journey["path_touchpoint"]
    for pair in itertools.pairwise(path):
        yield pair, {"transitions": 1}


def _steps(journey: Journey) -> Counted:
    path = journey["path_channel"][:MOST_STEPS]
    for step, (channel, following) in enumerate(itertools.pairwise(path), 1):
        yield (step, channel, following), {"journeys": 1}


def _channel_path(journey: Journey) -> Counted:
    path = tuple(compact(journey["path_channel"])[:MOST_STEPS])
    yield (path,), {"journeys": 1, "completed": journey["status"] == "completed"}


def _touchpoints(journey: Journey) -> Counted:
    times, names = journey["path_time"], journey["path_touchpoint"]
    answers: dict[int, list[tuple[str, int]]] = defaultdict(list)
    given = zip(journey["feedback_step"], journey["feedback_kind"], journey["feedback_score"], strict=True)
    for step, kind, score in given:
        answers[step].append((kind, score))
    met = set()
    for step, (channel, name) in enumerate(zip(journey["path_channel"], names, strict=True)):
        is_last = step + 1 == len(names)
        following = "" if is_last else journey["path_channel"][step + 1]
        counts = {
            "touchpoints": 1,
            "journeys": (channel, name) not in met,
            "dropped_after": is_last and journey["status"] == "dropped_off",
            "repeats": not is_last and names[step + 1] == name,
            "escalations": following == "call_center" != channel,
            "wait_ms": 0 if is_last else times[step + 1] - times[step],
        }
        met.add((channel, name))
        for kind, score in answers.get(step, ()):
            counts |= _answer(kind, score)
        yield (channel, name), counts


def _answer(kind: str, score: int) -> dict[str, int]:
    """What one answer adds; a touchpoint gives at most one."""
    match kind:
        case "nps":
            return {"nps_answers": 1, "nps_promoters": score >= 9, "nps_detractors": score <= 6}
        case "csat":
            return {"csat_answers": 1, "csat_satisfied": score >= 4}
        case "ces":
            return {"ces_answers": 1, "ces_sum": score, "ces_easy": score >= 5}
        case "stars":
            return {"stars_answers": 1, "stars_sum": score}
    return {}
