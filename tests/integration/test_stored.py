"""What is read back of the table `touchpoints` is what the collector wrote."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from ingest.accept import Accepted, accept_request
from ingest.simulator.scenario import Scenario
from ingest.simulator.simulation import simulate
from ingest.source import Source
from schemas.identity import DEFAULT_KINDS
from sinks import stored
from sinks.reader import connect
from tests.integration.conftest import Tables
from tests.sink_records import MARCH

pytestmark = pytest.mark.integration

AT = MARCH + 10**9
FULL = {
    "event_id": "full", "channel": "web", "name": "cart", "identifiers": {"email": "a@b.c"}, "revision": 2, "sequence": 3,
    "occurred_at": "2026-03-01T00:00:00Z", "stream": "s", "context": {"page": "p", "store": "x"},
    "value": {"amount": -5, "currency": "MXN"}, "feedback": {"kind": "nps", "score": 0, "text": "no", "sentiment": "negative"},
    "consent": {"analytics": True}, "properties": {"a": {"b": [1, None, 1.5, "é"]}}, "retracted": True,
}  # fmt: skip


def accepted(some: list[dict[str, Any]]) -> list[Accepted]:
    found = accept_request([json.dumps(one).encode() for one in some], Source("shop"), AT)
    return [one for one in found if isinstance(one, Accepted)]


def everything(tables: Tables, *, before: int = 10**6) -> list[stored.Stored]:
    """In four parts, as far as it was appended before this offset."""
    from sinks.reader import reader

    bounds = [stored.FIRST + (stored.END - stored.FIRST) * part // 4 for part in range(5)]
    with reader(tables.settings) as one:
        return [
            found
            for low, high in pairwise(bounds)
            for found in stored.records(
                one, DEFAULT_KINDS, low, high, lambda _, at, offset: at == AT and offset < before
            )
        ]


def test_a_stored_touchpoint_is_read_back_as_it_came(tables: Tables) -> None:
    scenario = Scenario(seed=3, customers=60, duplicates=0.1, late=0.1, corrections=0.4, shared_devices=0.3)
    sent = accepted([FULL, *(json.loads(one.touchpoint) for one in simulate(scenario))])
    tables.write("touchpoints", [one.value for one in sent], at=AT)
    newest: dict[str, tuple[int, dict[str, Any], bytes]] = {}
    for key, value in sent:
        said = json.loads(value)
        if said["event_id"] not in newest or newest[said["event_id"]][0] < said.get("revision", 0):
            newest[said["event_id"]] = said.get("revision", 0), said, key
    found = everything(tables)
    assert len(found) == len(newest) > 200
    for key, value, appended in found:
        said = json.loads(value)
        assert (said, key, appended) == (newest[said["event_id"]][1], newest[said["event_id"]][2], AT)

    # Rows of a release before did not keep the hash of the content.
    with connect(tables.settings) as client:
        client.execute("ALTER TABLE touchpoints UPDATE content = '' WHERE 1 SETTINGS mutations_sync = 2")
    assert sorted(everything(tables)) == sorted(found)


def test_what_came_later_is_not_taken_and_what_it_replaced_is(tables: Tables) -> None:
    first, second, other = (
        accepted([FULL | {"revision": revision, "event_id": own}])[0].value
        for revision, own in ((1, "a"), (2, "a"), (1, "b"))
    )
    tables.write("touchpoints", [first], at=AT)
    tables.write("touchpoints", [second, other], first_offset=1, at=AT)
    (found,) = everything(tables, before=1)
    assert json.loads(found.value) == json.loads(first)
    assert len(everything(tables)) == 2
