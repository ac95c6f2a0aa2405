"""What the store refuses at an assignment, without a broker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from faust.types import TP

from runtime.chunked.errors import NotCoPartitioned, RecordsLost
from runtime.chunked.privates import ChunkApp
from runtime.chunked.restore import check_position
from runtime.chunked.settings import StoreSettings
from runtime.chunked.store import StateStore
from runtime.settings import KafkaSettings
from tests.prove.chunked.job import Counting

Handler = Callable[..., Awaitable[None]]


class Signal:
    def connect(self, handler: Handler, weak: bool) -> None:
        self.handler = handler


class FakeApp:
    def __init__(self) -> None:
        self.on_partitions_revoked, self.on_partitions_assigned = Signal(), Signal()
        self.consumer_generation_id = 1


def test_partitions_that_do_not_belong_together_end_the_leg() -> None:
    app, failures = FakeApp(), cast(list[BaseException], [])
    leg = Counting("leg")
    StateStore(leg, cast(ChunkApp, app), KafkaSettings(), StoreSettings(), failures.append)
    assigned = {TP(leg.entry, 0), TP(leg.entry, 3), TP(leg.hop, 1), TP(leg.hop, 4)}
    handler: Any = app.on_partitions_assigned.handler
    asyncio.run(handler(app, assigned))
    assert [type(failure) for failure in failures] == [NotCoPartitioned]
    assert "'leg-in': [0, 3], 'leg-hop': [1, 4]" in str(failures[0])


def test_until_its_group_has_met_a_leg_does_not_work() -> None:
    app, failures = FakeApp(), cast(list[BaseException], [])
    store = StateStore(Counting("leg"), cast(ChunkApp, app), KafkaSettings(), StoreSettings(), failures.append)
    assert store.problem == "its group has not assigned partitions yet"
    handler: Any = app.on_partitions_assigned.handler
    asyncio.run(handler(app, set()))
    assert store.problem == "", "more workers than partitions: there is nothing for this one"


@pytest.mark.parametrize(("position", "said"), [(4, "records 4..9 were deleted"), (21, "ends at 20")])
def test_positions_outside_the_log_are_refused(position: int, said: str) -> None:
    with pytest.raises(RecordsLost, match=said):
        check_position(TP("t", 0), position, begin=10, end=20)


@pytest.mark.parametrize("position", [10, 15, 20])
def test_positions_within_the_log_are_fine(position: int) -> None:
    check_position(TP("t", 0), position, begin=10, end=20)
