"""What `verify` makes of touchpoints that came after the horizon: named, checked, left out of journeys, never silently."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from schemas.person import FoldRecord
from sinks.verify import causes, expect
from sinks.verify.compare import Difference
from sinks.verify.expect import Configuration
from sinks.verify.late import LATE, NOT_SILENT, RESTATED, CameLate, Lateness
from sinks.verify.store import carry, store
from tests.unit.test_stitching import DEFINITIONS, EVENTS, HOUR, NUMBERS, PEOPLE, T0

ADA, BOB = PEOPLE
HORIZON = 31 * HOUR
CLOSED = T0 + 30 * HOUR


def came_late(event: str = EVENTS[1], arrived: int = T0 + 40 * HOUR, **changes: Any) -> CameLate:
    row = CameLate(event, ADA, 1, "", T0 + HOUR, CLOSED, arrived, stands=True)
    changed: CameLate = row._replace(**changes)
    return changed


def folded(lateness: Lateness) -> tuple[expect.Folded, dict[str, list[int]]]:
    """Ada came twice within the hour and once more after forty, Bob once; the journeys of each by the times of their paths."""
    configuration = Configuration(DEFINITIONS[:1], None, b"", 100, horizon=HORIZON)  # type: ignore[arg-type]
    rows = [(EVENTS[0], ADA, T0, T0), (EVENTS[1], ADA, T0 + HOUR, T0 + 40 * HOUR), (EVENTS[2], BOB, T0, T0)]
    rows.append((EVENTS[3], ADA, T0 + 41 * HOUR, T0 + 41 * HOUR))
    with store() as kept:
        kept.put_touchpoints(
            (bytes.fromhex(event), bytes.fromhex(person), at, arrived,
             carry(FoldRecord(at, "web", "look", NUMBERS["look"][:1])))
            for event, person, at, arrived in rows
        )  # fmt: skip
        found = expect.fold(kept, configuration, lateness, 2**50, lambda _: True, 2**50, lambda what, count: None)
        paths: dict[str, list[int]] = {ADA: [], BOB: []}
        for row in kept.journeys():
            paths[row["person_id"]].append(row["touchpoints"])
    return found, {person: sorted(counts) for person, counts in paths.items()}


def test_a_late_touchpoint_is_named_and_in_no_journey() -> None:
    found, paths = folded(Lateness([came_late()]))
    assert paths == {ADA: [1, 1], BOB: [1]}
    (late,) = found.late
    assert (late.table, late.key, late.people, late.cause) == ("late", EVENTS[1], (ADA,), LATE)
    assert causes.explained(late)
    assert found.counts["late"] == 1


def test_what_is_not_late_any_more_is_in_its_journey() -> None:
    found, paths = folded(Lateness([came_late(stands=False)]))
    assert (found.late, paths) == ([], {ADA: [1, 2], BOB: [1]})


@pytest.mark.parametrize(
    "row",
    [
        came_late(arrived=T0 + HORIZON),  # there was news just before
        came_late(at=CLOSED + 1),  # it occurred after what was closed
        came_late(EVENTS[3], T0 + 41 * HOUR)._replace(at=T0 + 41 * HOUR),
    ],
)
def test_what_cannot_be_late_is_not_explained(row: CameLate) -> None:
    (late,) = folded(Lateness([row]))[0].late
    assert late.cause == NOT_SILENT
    assert not causes.explained(late)


def test_what_is_too_much_to_name_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.verify.expect.MOST_LATE", 0)
    found, _ = folded(Lateness([came_late()]))
    assert (found.late, found.counts) == ([], Counter({"people": 2, "late": 1}))


@pytest.mark.parametrize("row", [came_late(at=0, cause="merge"), came_late(version=1 << 32), came_late(cause="named")])
def test_a_change_of_what_journeys_were_made_of_explains_them(row: CameLate) -> None:
    lateness = Lateness([row, came_late(EVENTS[2], person=BOB)])
    assert lateness.restated == {ADA: CLOSED}
    evidence = causes.Evidence(restated=lateness.restated, definitions=["purchase"])
    live = {"definition": "purchase"}
    cases = (
        (Difference("journeys", "j", "extra", live=live, people=(ADA,), at=T0), RESTATED),
        (Difference("outcomes", "o", "missing", people=(ADA,), at=CLOSED), RESTATED),
        (Difference("journeys", "j", "differs", "stage", people=(ADA,), at=CLOSED + 1), "unexplained"),
        (Difference("journeys", "j", "extra", live=live, people=(BOB,), at=T0), "unexplained"),
        (Difference("person_touchpoints", "e", "missing", people=(ADA,), at=T0), "unexplained"),
    )
    assert [one.cause for one in causes.explain([one for one, _ in cases], evidence)] == [cause for _, cause in cases]
