"""Touchpoints that come from ClickHouse once more: the same records, which say themselves when they were appended first.

Their topic has append times of its own, so that it is kept, and erased, like any log.
"""

from __future__ import annotations

from runtime.chunked.leg import Chunk

_BEGIN, _DIGITS = b'{"appended":', 13  # ms since 1970 have so many from 2001 to 2286
_TIME = slice(len(_BEGIN), len(_BEGIN) + _DIGITS)
_REST = _TIME.stop + 1  # behind the comma


def saying_when(value: bytes, appended: int) -> bytes:
    """The record's value, a JSON object, with the time at which it was appended first (ms UTC) in front."""
    return b"%b%0*d,%b" % (_BEGIN, _DIGITS, appended, value[1:])


def as_appended(chunk: Chunk) -> Chunk:
    """The chunk as it would have been: values as the collector wrote them, and the times that they say."""
    values = [value for value in chunk.values if value is not None]
    assert len(values) == len(chunk.values), "only `desireline replay` writes this topic, and always values"
    return chunk._replace(
        timestamps=[int(value[_TIME]) for value in values], values=[b"{" + value[_REST:] for value in values]
    )
