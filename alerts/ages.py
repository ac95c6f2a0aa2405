"""How long stays last, as a small histogram, and the usual time that follows from it. Pure.

Up to 15 minutes each minute has its bucket; above, eight buckets for each doubling, so a time is right within 12 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

USUAL = 0.8  # the share of those who moved on that had done so within the usual time
LEAST = 100  # stays that a usual time is told from
_LAST = 127  # half a year


def bucket(age: int) -> int:
    """The bucket of an age in minutes."""
    octave = max(0, age.bit_length() - 4)
    return min(_LAST, 8 * octave + (age >> octave))


def longest(number: int) -> int:
    """The longest age in a bucket, in minutes."""
    octave = max(0, number // 8 - 1)
    return ((number - 8 * octave + 1) << octave) - 1


def added(histogram: tuple[float, ...], ages: Iterable[tuple[int, int]]) -> tuple[float, ...]:
    """The histogram with some (age, stays) more; it is as long as its last bucket."""
    counts = list(histogram)
    for age, stays in ages:
        number = bucket(age)
        if number >= len(counts):
            counts.extend([0.0] * (number + 1 - len(counts)))
        counts[number] += stays
    return tuple(counts)


def usual_time(histogram: Sequence[float], patience: int) -> int | None:
    """The 80th percentile in minutes, at most the patience; None of too few stays."""
    total = sum(histogram)
    if total < LEAST:
        return None
    seen = 0.0
    for number, stays in enumerate(histogram):
        seen += stays
        if seen >= USUAL * total:
            return max(1, min(longest(number), patience))
    raise AssertionError("a sum reaches four fifths of itself")
