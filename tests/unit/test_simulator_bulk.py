"""Bulk touchpoints are what the topic would hold."""

from __future__ import annotations

from collections import Counter
from itertools import islice, pairwise

import pytest

from ingest.simulator.bulk import bulk
from schemas.codec import decode_stored
from schemas.definition import STAGE, load_definitions
from schemas.identity import address
from schemas.touchpoint import StoredTouchpoint


def test_every_one_is_a_stored_touchpoint() -> None:
    found = [(key, StoredTouchpoint.model_validate_json(value)) for key, value in bulk(5_000, under_way=50)]
    assert len({stored.event_id for _, stored in found}) == 5_000
    for key, stored in found:
        assert stored.address.encode() == key
        assert address(stored.identifiers, stored.event_id, stored.revision) == stored.address
    assert all(a.occurred_at < b.occurred_at for (_, a), (_, b) in pairwise(found))
    definition = load_definitions()[0]
    assert all(definition.number(stored.channel, stored.name, {}) & STAGE for _, stored in found)
    assert {stored.value is not None for _, stored in found if stored.name == "paid"} == {True}


def test_equal_arguments_give_equal_bytes() -> None:
    assert list(bulk(500)) == list(bulk(500))
    assert list(bulk(500)) != list(bulk(500, seed=2))
    assert list(islice(bulk(10**12), 100)) == list(bulk(100))


@pytest.mark.parametrize("mean", [3, 10])
def test_paths_have_the_length_asked_for(mean: float) -> None:
    lengths = Counter(key for key, _ in bulk(100_000, mean_path=mean, under_way=100))
    assert mean * 0.95 < 100_000 / len(lengths) < mean * 1.05


def test_the_share_of_new_and_of_named_customers_is_as_asked() -> None:
    few = len({key for key, _ in bulk(50_000, new=0.2, under_way=100)})
    many = len({key for key, _ in bulk(50_000, new=1.0, under_way=100)})
    assert few < many * 0.3
    nobody = [decode_stored.decode(value) for _, value in bulk(5_000, named=0, under_way=50)]
    everyone = [decode_stored.decode(value) for _, value in bulk(5_000, named=1, under_way=50)]
    assert not any("customer_id" in stored.identifiers for stored in nobody)
    assert all("customer_id" in stored.identifiers for stored in everyone if stored.name == "paid")
