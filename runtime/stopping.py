"""Waiting, but not beyond the moment of stopping."""

from __future__ import annotations

import asyncio
from contextlib import suppress


async def stopped(stop: asyncio.Event, seconds: float) -> bool:
    """Wait so long, or until it is time to stop; whether it is."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()
