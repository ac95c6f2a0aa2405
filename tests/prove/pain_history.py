"""A simulated company's weeks in ClickHouse's tables: simulated, accepted, and stored without the stream."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.accept import Accepted, accept
from ingest.simulator.ledger import Ledger
from ingest.simulator.scenario import Scenario
from ingest.simulator.simulation import simulate
from ingest.source import Source
from runtime.settings import ClickHouseSettings
from tests.stored_history import store

SOURCE = Source("vivan_los_tacos")


def fill(settings: ClickHouseSettings, scenario: Scenario, as_of: int) -> Ledger:
    """Store everything that the scenario's customers did, and their journeys as of then; what is true of them."""
    ledger = Ledger()

    def accepted() -> Iterator[tuple[int, bytes]]:
        for sent in simulate(scenario, ledger):
            found = accept(sent.touchpoint, SOURCE, sent.when)
            assert isinstance(found, Accepted), found
            yield sent.customer, found.value

    store(settings, accepted(), as_of)
    return ledger
