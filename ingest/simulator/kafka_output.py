"""Writes simulated touchpoints into Kafka without a collector, for benchmarks of what comes after it."""

from __future__ import annotations

import asyncio
import time

from ingest.accept import Accepted, accept_request
from ingest.budget import Budget, Unavailable
from ingest.producer import Producer
from ingest.simulator.outputs import Batches
from ingest.source import Source
from runtime.settings import IdentitySettings
from schemas.topics import TOUCHPOINTS

MAX_WAITING_BYTES = 8 << 20
READY_TRIES = 100  # of 20 ms


class KafkaOutput(Batches):
    """Straight into the `touchpoints` topic, by the same rules as the collector's. For benchmarks."""

    def __init__(self, settings: IdentitySettings, source: Source) -> None:
        """Raises KindsError."""
        super().__init__()
        self._source, self._kinds = source, settings.kinds
        self._runner = asyncio.Runner()
        budget = Budget(MAX_WAITING_BYTES)
        self._producer = Producer(settings, (TOUCHPOINTS.name,), budget, linger=0.0, ack_timeout=30)
        self._runner.run(self._producer.start())

    def hand_over(self, batch: list[bytes]) -> float | None:
        received_at = time.time_ns() // 1_000_000
        results = accept_request(batch, self._source, received_at, self._kinds)
        accepted = [(result.key, result.value) for result in results if isinstance(result, Accepted)]
        try:
            self._runner.run(self._acknowledged(received_at, accepted))
        except Unavailable as error:
            self.problem = str(error)
            return 0.1
        self.rejected += len(results) - len(accepted)
        return None

    async def _acknowledged(self, at: int, records: list[tuple[bytes, bytes]]) -> None:
        # Between two batches nothing of the producer runs: let it look whether the broker is there.
        for _ in range(READY_TRIES):
            if self._producer.ready:
                break
            await asyncio.sleep(0.02)
        await self._producer.put(at, {TOUCHPOINTS.name: records})

    def close(self) -> None:
        self._runner.run(self._producer.stop())
        self._runner.close()
