"""What `desireline tail` prints of a record, also of one that somebody else wrote into the topic."""

from __future__ import annotations

import pytest

from cli.tail import _line
from schemas.codec import encode
from tests.sink_records import touchpoint


def test_a_touchpoint_is_one_line() -> None:
    line = _line(touchpoint(1))
    assert "web" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    "value",
    [b"", b"{", b"\xff", b"[" * 100_000, encode({"occurred_at": 1}), touchpoint(1, occurred_at=2**60)],
)
def test_what_is_no_touchpoint_does_not_end_it(value: bytes) -> None:
    assert _line(value).startswith("not a touchpoint: ")
