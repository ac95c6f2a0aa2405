"""Many questions, one query: what is asked while a query is under way goes into the next one, together.

A query of ClickHouse's costs milliseconds whatever it asks for, and a key more in it a tenth of that. So a lane asks one query
at a time: alone, a question is answered at once; under load the queries do not become more, but larger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MOST_AT_ONCE = 200


class Batches(Generic[K, V]):
    """Answers for keys, by `ask`, which gets each key once and runs in a thread of its own, one at a time."""

    def __init__(self, name: str, ask: Callable[[Sequence[K]], Mapping[K, V]]) -> None:
        self._ask = ask
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._waiting: dict[K, asyncio.Future[V | None]] = {}
        self._running: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """The answer for this key; None without one. Raises what `ask` raises."""
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await asyncio.shield(future)  # who gives up does not take the answer from others who wait for it

    def close(self) -> None:
        """End the thread once its query has ended."""
        self._thread.shutdown()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            keys = list(self._waiting)[:MOST_AT_ONCE]
            asked = {key: self._waiting.pop(key) for key in keys}
            try:
                found = await loop.run_in_executor(self._thread, self._ask, keys)
            except Exception as error:  # noqa: BLE001 - it is for who asked
                for future in asked.values():
                    future.set_exception(error)
                    future.exception()  # perhaps nobody waits any more: that is no error of its own
                continue
            for key, future in asked.items():
                future.set_result(found.get(key))
        self._running = None
