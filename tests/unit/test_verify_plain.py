"""Every column of a journey's row: the plain fold says what the packed one says."""

from __future__ import annotations

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.journey import Journey
from schemas.person import Assigned, FoldRecord, ReadTo
from sinks.verify import plain
from tests import oracle
from tests.unit.test_stitching import DEFINITIONS, HOUR, PEOPLE, T0, Line, histories


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories(), st.integers(0, 2**32), st.integers(-5, 100))
def test_plain_rows_are_the_packed_ones(messages: list[Assigned], seed: int, hours: int) -> None:
    as_of = T0 + hours * HOUR + 1
    packed = Line(seed, 100).run([ReadTo(0, as_of), *messages])
    found = {}
    for person in PEOPLE:
        events = oracle.live(m for m in messages if m.person_id == person)
        for row in plain.rows(person, events[::-1], DEFINITIONS, as_of):
            found[row["journey_id"]] = row
    assert found.keys() == packed.keys()
    for ident, row in found.items():
        assert row == {name: getattr(packed[ident], name) for name in row}


def test_every_column_of_a_row_that_is_content_is_told() -> None:
    first = Assigned(PEOPLE[0], "1" * 32, 0, 0, T0, None)
    record = msgspec.convert({"at": T0, "channel": "web", "name": "look", "rules": [65, 65]}, type=FoldRecord)
    (row, _) = plain.rows(first.person_id, [(first.event_id, record)], DEFINITIONS, T0)
    assert set(row) == set(Journey.__struct_fields__) - {"arrived_at", "version", "is_deleted"}
