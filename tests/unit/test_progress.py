"""What a partition knows of its sources: the watermark, the lag, and whether it is still being fed."""

from __future__ import annotations

import pytest

from runtime.chunked.errors import LegError
from runtime.chunked.leg import Chunk
from runtime.chunked.privates import Fetched, Reading
from runtime.chunked.progress import APPEND_MARGIN_MS, LOST_MS, STALLED_MS, SourceProgress

NOW = 1_000_000


def source_at(position: int) -> SourceProgress:
    source = SourceProgress("t-0", position, None)
    source.sought(NOW)
    return source


def reading(start: int, position: int, end: int, asked: int = NOW) -> Reading:
    return Reading(1, start, position, end, asked)


def fetched(start: int, after: int, time: int) -> Fetched:
    return Fetched(Chunk("t", 0, [start], [time], [None], [b""]), 1, start, after)


def test_at_the_end_it_has_read_up_to_the_time_at_which_the_end_was_asked_for() -> None:
    source = source_at(10)
    assert not source.look(reading(10, 10, 10), NOW)
    assert (source.read_to, source.lag) == (NOW - APPEND_MARGIN_MS, 0)


def test_transaction_markers_after_the_last_record_do_not_matter() -> None:
    source = source_at(10)
    source.look(reading(10, 12, 12), NOW)
    assert (source.read_to, source.lag) == (NOW - APPEND_MARGIN_MS, 0)


@pytest.mark.parametrize(
    "not_at_end",
    [
        reading(10, 10, 12),  # there is more in the log, or an open transaction
        reading(12, 12, 12),  # read, but the chunk has not been taken yet
    ],
)
def test_short_of_the_end_only_what_was_taken_counts(not_at_end: Reading) -> None:
    source = source_at(8)
    source.took(fetched(8, 10, time=900_000), NOW)
    source.look(not_at_end, NOW)
    assert (source.read_to, source.lag) == (900_000, 2)


def test_before_the_first_answer_nothing_is_known() -> None:
    source = source_at(10)
    source.look(reading(10, 10, -1, asked=-1), NOW)
    assert (source.read_to, source.lag) == (0, 0)


def test_it_never_goes_back() -> None:
    source = source_at(10)
    source.look(reading(10, 10, 10), NOW)
    source.took(fetched(10, 11, time=NOW - APPEND_MARGIN_MS - 1), NOW)
    source.look(reading(11, 11, 11, asked=NOW - 1), NOW)
    assert source.read_to == NOW - APPEND_MARGIN_MS


def test_a_chunk_under_way_for_long_is_lost() -> None:
    source = source_at(10)
    assert not source.look(reading(12, 12, 12), NOW + LOST_MS)
    assert source.look(reading(12, 12, 12), NOW + LOST_MS + 1)
    source.took(fetched(10, 12, time=NOW), NOW + LOST_MS)
    assert not source.look(reading(12, 12, 12), NOW + LOST_MS + 1)


def test_fetching_that_died_is_an_error() -> None:
    source = source_at(10)
    source.look(reading(10, 10, 10), NOW + STALLED_MS)
    source.look(reading(10, 10, 10, asked=NOW + STALLED_MS), NOW + STALLED_MS + 1)
    with pytest.raises(LegError, match="t-0: no fetch has been answered for 60 s"):
        source.look(reading(10, 10, 10), NOW + STALLED_MS + 1)
