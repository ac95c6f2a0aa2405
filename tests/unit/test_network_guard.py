"""The wall around unit tests: does it stand?"""

from __future__ import annotations

import asyncio
import socket

import pytest


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_unit_test_cannot_connect(family: socket.AddressFamily, network_attempts: list[str]) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as client, pytest.raises(RuntimeError, match="mark it"):
        client.connect(("::1" if family is socket.AF_INET6 else "127.0.0.1", 9))
    assert len(network_attempts) == 1
    network_attempts.clear()  # otherwise this test would fail when it ends, which is the point


def test_a_unit_test_cannot_send_datagrams(network_attempts: list[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, pytest.raises(RuntimeError, match="mark it"):
        client.sendto(b"", ("127.0.0.1", 9))
    network_attempts.clear()


def test_an_attempt_that_the_code_swallows_is_remembered(network_attempts: list[str]) -> None:
    async def careless() -> None:
        try:
            await asyncio.open_connection("127.0.0.1", 9)
        except RuntimeError:
            return

    asyncio.run(careless())
    assert network_attempts == ["connect to ('127.0.0.1', 9)"]
    network_attempts.clear()
