"""The collector's producer: what it does where a real broker cannot be made to."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from ingest import producer
from ingest.budget import Budget
from ingest.producer import Producer
from runtime.settings import KafkaSettings


class _Metadata:
    """Answers as aiokafka's client does, after an error that nobody expects."""

    def __init__(self) -> None:
        self.asked = 0

    async def fetch_all_metadata(self) -> Any:
        self.asked += 1
        if self.asked == 1:
            raise AssertionError("a bug in the client")
        return SimpleNamespace(partitions_for_topic=lambda topic: {0, 1})


def test_asking_for_the_broker_goes_on_after_any_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer, "PROBE_SECONDS", 0.01)

    async def run() -> bool:
        one = Producer(KafkaSettings(), ("touchpoints",), Budget(1), linger=0, ack_timeout=1)
        client: Any = SimpleNamespace(client=_Metadata())
        probe = asyncio.create_task(one._probe(client))
        for _ in range(500):
            if probe.done() or one.ready:
                break
            await asyncio.sleep(0.01)
        ready = one.ready
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)
        return ready

    assert asyncio.run(run())
