"""The alerts process stops at once, also while it waits for a line that is behind."""

from __future__ import annotations

import asyncio

from alerts.app import _until_stored


def test_a_line_that_is_behind_does_not_hold_up_a_stop() -> None:
    ended = []

    async def behind() -> str:
        try:
            await asyncio.Event().wait()
            return ""
        finally:
            ended.append(True)

    async def stopped() -> list[object]:
        stop = asyncio.Event()
        waiting = asyncio.create_task(_until_stored(list, behind, stop))
        await asyncio.sleep(0)
        stop.set()
        return [*await asyncio.wait_for(waiting, 5)]

    assert asyncio.run(stopped()) == []
    assert ended, "nothing is left waiting"
