"""How the read API asks: how often somebody may, many questions in one query, keys."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.batches import Batches
from dashboard.rate import Bucket
from dashboard.settings import parse_keys

times = st.lists(st.floats(0, 0.5), min_size=1, max_size=200)


@given(times, st.floats(0.5, 100))
def test_what_is_allowed_never_exceeds_the_rate(pauses: list[float], rate: float) -> None:
    bucket, now = Bucket(rate, 0.0), 0.0
    for allowed, pause in enumerate(pauses, 1):
        now += pause
        if wait := bucket.take(now):
            assert wait <= 1 / rate + 1e-9
            now += wait + 1e-6
            assert bucket.take(now) == 0, "it was said that this is when"
        assert allowed <= max(1, rate) + now * rate + 1e-6


def test_an_unused_second_may_be_used_later_but_no_more_than_one() -> None:
    bucket = Bucket(3, 0.0)
    assert [bucket.take(100.0) == 0 for _ in range(5)] == [True, True, True, False, False]


def test_what_is_asked_meanwhile_goes_into_one_query() -> None:
    asked: list[list[int]] = []

    def ask(keys: Sequence[int]) -> dict[int, str]:
        asked.append(list(keys))
        if 13 in keys:
            raise LookupError("no")
        return {key: str(key) for key in keys if key}

    async def run() -> None:
        batches = Batches("test", ask)
        try:
            first = asyncio.create_task(batches.get(1))
            await asyncio.sleep(0)
            assert await asyncio.gather(first, *(batches.get(key) for key in (2, 3, 3, 0))) == [
                "1",
                "2",
                "3",
                "3",
                None,
            ]
            assert sorted(map(sorted, asked)) in ([[0, 1, 2, 3]], [[0, 2, 3], [1]])
            results = await asyncio.gather(batches.get(13), batches.get(14), return_exceptions=True)
            assert [type(result) for result in results] == [LookupError, LookupError]
            leaving = asyncio.create_task(batches.get(5))
            staying = asyncio.create_task(batches.get(5))
            await asyncio.sleep(0)
            leaving.cancel()
            assert await staying == "5"
            assert await batches.get(6) == "6"
        finally:
            batches.close()

    asyncio.run(run())


def test_read_keys() -> None:
    keys = parse_keys("crm=0f3c9a7e5d21, shop=5b1f07c2a9e4,crm=another-key")
    assert [keys.owner(key) for key in ("0f3c9a7e5d21", "5b1f07c2a9e4", "another-key", "")] == [
        "crm",
        "shop",
        "crm",
        None,
    ]
    for wrong, why in (
        ("", "no read key"),
        ("crm", "entry 1 is not"),
        ("crm=short", "entry 1 is not"),
        ("a=my-secret-key,b=my-secret-key", "entry 2 has the same key"),
    ):
        with pytest.raises(ValueError, match=why) as error:
            parse_keys(wrong)
        assert "my-secret-key" not in str(error.value)
