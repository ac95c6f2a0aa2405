"""What the topics take is enough for what is written into them."""

from __future__ import annotations

from itertools import cycle, islice

from processors import packing
from processors.fold import Texts, journey
from processors.settings import WorkerSettings
from schemas.codec import encode
from schemas.definition import load_definitions
from schemas.topics import JOURNEYS, MAX_RECORD_BYTES

DAY = 86_400_000
PATIENCE = 100 * DAY  # longer than that of any stage, shorter than what ends a journey


def test_the_largest_row_of_a_journey_fits_into_its_topic() -> None:
    """One that does not would stop its worker for ever, and whoever may send touchpoints can bring it about."""
    most = WorkerSettings().max_touchpoints
    names = ["other", *islice(cycle(["\x01" * 128]), 3)]  # six bytes a character, and as long as may be
    feedback = packing.pack_feedback("stars", 5, "negative")
    records = b"".join(
        packing.RECORD.pack(10**12 + n * PATIENCE, 0, n.to_bytes(16, "big"), 0, 1, 1, 1, 1, feedback, 10**15 << 8 | 1)
        for n in range(most)
    )
    texts = Texts(names, names, [[0, 1]], ["other", "EUR"])
    row = journey(bytes(16), 0, load_definitions()[0], records, texts, as_of=2**53, arrived_at=2**53, version=2**63)
    assert len(row.drop_off_at) == most
    size = len(encode(row))
    assert 3 << 20 < size < MAX_RECORD_BYTES - 1024
    assert int(JOURNEYS.config["max.message.bytes"]) == MAX_RECORD_BYTES
