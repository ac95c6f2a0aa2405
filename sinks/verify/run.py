"""The verification: look, and look again at what differs, until it has healed or stands; then say why.

    wait for the line ─► look at everything ─► nothing differs: done
                  ▲                │ something differs
                  └── at most 3 ───┘ again, only the people concerned; what heals has changed since the cut

Everything is read and nothing is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from heapq import nsmallest
from itertools import islice

from sinks.reader import Reader
from sinks.verify import causes, compare, expect, live
from sinks.verify.causes import Count, Evidence
from sinks.verify.compare import Difference, Scope
from sinks.verify.cut import Ordered
from sinks.verify.expect import Configuration, Folded, Tell
from sinks.verify.figures import ROLLUPS, Figures
from sinks.verify.store import Store, store

LOOKS_AGAIN = 3
MOST_KEPT = 10_000  # differences of a table that are kept; more are counted
FEW = 1_000  # people whose journeys are asked for by person, not all read


class OtherConfiguration(Exception):
    """The stored data was made with other settings: says which, and what is to be done."""


@dataclass(frozen=True)
class Wanted:
    """What is to be verified. `sample`: so many people; `since` (ms UTC): people with touchpoints since."""

    sample: int | None = None
    since: int | None = None

    @property
    def everything(self) -> bool:
        return self.sample is None and self.since is None


@dataclass
class Report:
    """What was found. `counts` are of the first look: what was compared, by table, and what was not."""

    as_of: int  # of the last look, ms UTC
    differences: list[Difference] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    healed: int = 0
    looks: int = 1
    late: list[Difference] = field(default_factory=list)  # what waits for a replay, as of the first look

    @property
    def unexplained(self) -> list[Difference]:
        return [one for one in (*self.differences, *self.late) if not causes.explained(one)]


def verify(
    reader: Reader,
    configuration: Configuration,
    wanted: Wanted,
    clock: Callable[[], int],
    wait: Callable[[], Ordered],
    tell: Tell,
) -> Report:
    """See the module; `clock` in ms UTC. `wait` returns when the line has processed what was there when it was called, with
    what operators have ordered. Raises OtherConfiguration, and the driver's errors."""
    _check_definitions(reader, configuration)
    configuration = replace(configuration, **wait()._asdict())
    look = _look(reader, configuration, wanted, clock(), None, tell)
    report = Report(look.as_of, look.differences, look.counts, late=look.late)
    while report.differences and report.looks <= LOOKS_AGAIN:
        configuration = replace(configuration, **wait()._asdict())
        before = report.differences
        people = None if any(one.table in ROLLUPS for one in before) else {p for one in before for p in one.people}
        look = _look(reader, configuration, wanted, clock(), people, tell)
        places = {one.place for one in before}
        report.looks, report.as_of = report.looks + 1, look.as_of
        report.differences = [one for one in look.differences if one.place in places]
        report.healed += len(places - {one.place for one in report.differences})
        if _unmoved(before, report.differences):
            break
    return report


def _unmoved(before: list[Difference], after: list[Difference]) -> bool:
    """Twice the same, and none of it for something that has just arrived: to look once more would be in vain."""
    return {repr(one) for one in before} == {repr(one) for one in after} and all(
        one.cause != causes.CHANGED for one in after
    )


@dataclass
class _Look:
    as_of: int
    differences: list[Difference]
    counts: Counter[str]
    late: list[Difference]


def _look(
    reader: Reader, configuration: Configuration, wanted: Wanted, as_of: int, people: set[str] | None, tell: Tell
) -> _Look:
    """Compare the people of `wanted`, of whom only `people`, if given."""
    began = live.server_time(reader)
    with store() as kept:
        expect.resolve(reader, kept, configuration, tell)
        chosen = _scope(kept, wanted)

        def scope(person: str) -> bool:
            return chosen(person) and (people is None or person in people)

        lateness = live.late(reader)
        folded = expect.fold(kept, configuration, lateness, as_of, scope, as_of, tell)
        counts = folded.counts
        asked = people if people is not None and len(people) <= FEW else ()
        found = _kept(compare.owners(kept.touchpoints(), live.owners(reader), scope, counts), counts)
        tell("identities", 0)
        found += _kept(compare.identities(kept.identities(), live.identities(reader), scope, counts), counts)
        tell("journeys", 0)
        rows = live.journeys(reader, asked)
        differing = _kept(compare.journeys(kept.journeys(), rows, as_of, scope, counts), counts)
        found += differing
        tell("outcomes", 0)
        found += _kept(compare.outcomes(kept.outcomes(), live.outcomes(reader, as_of), scope, counts), counts)
        miscounted = None
        if people is None:
            _check_configuration(counts)
        if wanted.everything and people is None:
            tell("figures", 0)
            wrong, miscounted = _figures(reader, folded, began, as_of, bool(differing), counts)
            found += wrong
        explained = _explained(reader, kept, configuration, found, miscounted, lateness.restated, as_of)
        return _Look(as_of, explained, counts, folded.late)


def _scope(kept: Store, wanted: Wanted) -> Scope:
    """Which people are wanted. A sample is drawn by the hash of the id, so live people whom nothing explains fall into it."""
    since = set(kept.persons(wanted.since)) if wanted.since is not None else None
    most = b""
    if wanted.sample is not None:
        hashes = (_hash(person) for person in (kept.persons(0) if since is None else since))
        most = max(nsmallest(wanted.sample, hashes), default=b"")
    return lambda person: (since is None or person in since) and (wanted.sample is None or _hash(person) <= most)


def _hash(person: str) -> bytes:
    return sha256(person.encode()).digest()


def _kept(differences: Iterator[Difference], counts: Counter[str]) -> list[Difference]:
    kept = list(islice(differences, MOST_KEPT))
    more = sum(1 for _ in differences)
    if more:
        counts["differences not kept"] += more
    return kept


def _figures(
    reader: Reader, folded: Folded, began: int, as_of: int, journeys_differ: bool, counts: Counter[str]
) -> tuple[list[Difference], set[Count] | None]:
    """Rollups that differ from what is expected; and which of their counts are not those of the live journeys either."""
    rollups = {table: live.figures(reader, table) for table in ROLLUPS}
    moving = folded.moving | live.moving(reader, began)

    def compared(figures: Figures, counts: Counter[str]) -> list[Difference]:
        tables = (compare.figures(name, figures.of(name), rows, moving, counts) for name, rows in rollups.items())
        return [one for table in tables for one in _kept(table, counts)]

    wrong = compared(folded.figures, counts)
    if not wrong or not journeys_differ:
        return wrong, None
    of_live = Figures()
    for row in live.journeys(reader, ()):
        of_live.add({**row, "status": compare.comparable(row, as_of)["status"]})
    return wrong, {(one.table, one.key, one.column) for one in compared(of_live, Counter())}


def _check_definitions(reader: Reader, configuration: Configuration) -> None:
    """The sink writes down the stages of its definitions."""
    known = live.stages(reader)
    for definition in configuration.definitions:
        for rank, stage in enumerate(definition.stages, 1):
            mine = stage.name, stage.patience, stage.name == definition.goal
            if known and known.get((definition.name, rank)) != mine:
                raise OtherConfiguration(
                    f"stage {stage.name!r} of {definition.name!r} is not as the sink was told: it was started with other "
                    "definitions (DESIRELINE_DEFINITIONS); give verify the worker's and the sink's"
                )


def _check_configuration(counts: Counter[str]) -> None:
    """Where nothing at all is as expected, not the data is wrong but what it is compared with."""
    if counts["owners expected"] and counts["owners found"] and not counts["owners right"]:
        raise OtherConfiguration(
            "no touchpoint is whose it should be: the stored data was made with another DESIRELINE_SECRET or other identity "
            "settings (DESIRELINE_IDENTITY); give verify the worker's"
        )
    if counts["rules differ"] and counts["rules differ"] == counts["owners right"]:
        raise OtherConfiguration(
            "no touchpoint means what it should to the journeys: the stored data was made with other definitions "
            "(DESIRELINE_DEFINITIONS); give verify the worker's"
        )


def _explained(
    reader: Reader,
    kept: Store,
    configuration: Configuration,
    found: list[Difference],
    miscounted: set[Count] | None,
    restated: Mapping[str, int],
    cut: int,
) -> list[Difference]:
    """Look for what explains the differences."""
    if not found:
        return []
    people = {person for one in found for person in one.people}
    summary = kept.summary(people)
    changed = {person for person, (_, arrived) in summary.items() if arrived > cut}
    events = [one.key for one in found if one.table == "person_touchpoints"]
    evidence = Evidence(
        changed=changed | live.changed_people(reader, people, cut),
        two_homes=live.with_two_homes(reader, events),
        above={person for person, (count, _) in summary.items() if count > configuration.max_touchpoints},
        restated=restated,
        definitions=[definition.name for definition in configuration.definitions],
        miscounted=miscounted,
    )
    return causes.explain(found, evidence)
