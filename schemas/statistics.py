"""The statistics that figures are shown and watched with: intervals, a test, a control chart, an exact tail. Pure.

Shares are numbers from 0 to 1; NPS alone is in points, -100 … +100. Impossible counts are a caller's mistake: ValueError.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import exp, inf, lgamma, log, log1p, sqrt
from statistics import NormalDist
from typing import NamedTuple

_NORMAL = NormalDist()
CONFIDENCE = 0.95


class Interval(NamedTuple):
    """An estimate, and where the true value lies with the confidence that was asked for."""

    estimate: float
    low: float
    high: float


class Difference(NamedTuple):
    """How many standard errors two shares lie apart, and how probable that is (two-sided) if they are equal."""

    z: float
    p: float


class Effort(NamedTuple):
    """CES 2.0, "made it easy", 1–7: the share of 5 and more, and the mean."""

    easy: Interval
    mean: float


class Stratum(NamedTuple):
    """Comparable cases: so many of n had it, and so many of those that they are compared with."""

    had: int
    n: int
    other_had: int
    other_n: int


class Compared(NamedTuple):
    """A difference of two shares (the first minus the other) over comparable cases, with its interval."""

    estimate: float
    low: float
    high: float
    share: float  # of the first, where there was something to compare with
    other_share: float  # of the others, in the same mixture of strata
    n: int  # of the first, that had something to compare with
    other_n: int

    @property
    def worse(self) -> bool:
        """The first had it more often, beyond chance."""
        return self.low > 0


def nps(promoters: int, passives: int, detractors: int) -> float | None:
    """Net promoter score in points: % promoters minus % detractors; None without answers."""
    _counts(promoters, passives, detractors)
    answers = promoters + passives + detractors
    return 100 * (promoters - detractors) / answers if answers else None


def nps_interval(promoters: int, passives: int, detractors: int, confidence: float = CONFIDENCE) -> Interval:
    """Adjusted Wald: ¾ promoter and ¾ detractor more, n + 3, in points (Rocks, 2016; Sauro and Lewis). Holds without answers.

    Its estimate is drawn towards 0; show `nps` beside it. The ends are cut at -100 and +100.
    """
    _counts(promoters, passives, detractors)
    answers = promoters + passives + detractors + 3
    for_us, against = (promoters + 0.75) / answers, (detractors + 0.75) / answers
    estimate = for_us - against
    reach = _z(confidence) * sqrt((for_us + against - estimate**2) / answers)
    return Interval(100 * estimate, 100 * max(-1.0, estimate - reach), 100 * min(1.0, estimate + reach))


def wilson(successes: int, n: int, confidence: float = CONFIDENCE) -> Interval | None:
    """Score interval of a share (Wilson, 1927), good for few answers and near 0 and 1; None of nothing."""
    _part(successes, n)
    if not n:
        return None
    z = _z(confidence)
    share = successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # at 0 and at n the ends are exactly 0 and 1, which the arithmetic misses by a rounding
    return Interval(
        share, max(0.0, middle - reach) if successes else 0.0, min(1.0, middle + reach) if successes < n else 1.0
    )


def effort(easy: int, total: int, answers: int, confidence: float = CONFIDENCE) -> Effort | None:
    """CES of answers that add up to `total`, of which `easy` were 5 and more; None without answers."""
    share = wilson(easy, answers, confidence)
    return Effort(share, total / answers) if share else None


def mean_interval(total: float, squares: float, n: int, confidence: float = CONFIDENCE) -> Interval | None:
    """Mean of n values that add up to `total`, their squares to `squares`; normal interval. None of fewer than two."""
    if n < 2:
        return None
    mean = total / n
    reach = _z(confidence) * sqrt(max(0.0, squares - n * mean * mean) / (n - 1) / n)
    return Interval(mean, mean - reach, mean + reach)


def stratified(strata: Iterable[Stratum], confidence: float = CONFIDENCE) -> Compared | None:
    """Do two shares differ among comparable cases? Mantel-Haenszel's risk difference with Sato's variance (Biometrics, 1989).

    It holds for few large strata and for many small ones. A stratum with an empty side says nothing; None if all are so.
    """
    weight = gained = p = q = others = 0.0
    n = other_n = 0
    for a, n1, c, n0 in strata:
        _part(a, n1)
        _part(c, n0)
        if not n1 or not n0:
            continue
        total = n1 + n0
        weight += n1 * n0 / total
        gained += (a * n0 - c * n1) / total
        p += (n1 * n1 * c - n0 * n0 * a + n1 * n0 * (n0 - n1) / 2) / (total * total)
        q += (a * (n0 - c) + c * (n1 - a)) / (2 * total)
        n, other_n = n + n1, other_n + n0
        others += c / n0 * n1 * n0 / total
    if not weight:
        return None
    estimate = gained / weight
    reach = _z(confidence) * sqrt(max(0.0, estimate * p + q)) / weight
    other_share = others / weight
    low, high = max(-1.0, estimate - reach), min(1.0, estimate + reach)
    return Compared(estimate, low, high, other_share + estimate, other_share, n, other_n)


def two_proportions(successes: int, n: int, other_successes: int, other_n: int) -> Difference | None:
    """Do two shares differ? z of the first minus the second with the pooled variance (Fleiss); None if one is of nothing."""
    _part(successes, n)
    _part(other_successes, other_n)
    if not n or not other_n:
        return None
    pooled = (successes + other_successes) / (n + other_n)
    error = sqrt(pooled * (1 - pooled) * (1 / n + 1 / other_n))
    z = (successes / n - other_successes / other_n) / error if error else 0.0  # all or none in both: they are equal
    return Difference(z, 2 * _NORMAL.cdf(-abs(z)))


def ewma(before: float, value: float, weight: float) -> float:
    """The next value of an exponentially weighted moving average (Roberts, 1959); `weight` of the newest, above 0 up to 1."""
    return weight * value + (1 - weight) * before


def ewma_spread(weight: float, samples: int) -> float:
    """Standard deviation of that average after so many samples, in standard deviations of a sample.

    Exact, not the limit that it comes to, so that a chart may begin anew (Montgomery, Statistical Quality Control, §9.2).
    """
    return sqrt(weight / (2 - weight) * (1 - (1 - weight) ** (2 * samples)))


def share_error(share: float, n: float) -> float:
    """Standard error of a share among n."""
    return sqrt(share * (1 - share) / n)


def binomial_lower_tail(successes: int, n: int, share: float) -> float:
    """Exact probability of at most so many of n when each succeeds with probability `share`."""
    _part(successes, n)
    if not 0 <= share <= 1:
        raise ValueError(f"a share is between 0 and 1, not {share}")
    if successes == n or share == 0:
        return 1.0
    if share == 1:
        return 0.0
    if successes > n * share:  # the shorter sum, and no loss of digits where the tail is nearly 1
        return max(0.0, 1.0 - binomial_lower_tail(n - successes - 1, n, 1 - share))
    return min(1.0, exp(_log_of_term(successes, n, share)) * _sum_below(successes, n, share))


def normal_beyond(probability: float) -> float:
    """How many standard deviations a normal value exceeds with that probability: 0.05 → 1.645; inf for 0."""
    return -_NORMAL.inv_cdf(probability) if probability else inf


def _log_of_term(k: int, n: int, share: float) -> float:
    ways = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
    return ways + k * log(share) + (n - k) * log1p(-share)


def _sum_below(k: int, n: int, share: float) -> float:
    """The terms from k down to 0, as multiples of the term of k; they shrink, so the rest soon counts for nothing."""
    total = term = 1.0
    odds = (1 - share) / share
    while k and term > 1e-17 * total:
        term *= k / (n - k + 1) * odds
        total += term
        k -= 1
    return total


def _z(confidence: float) -> float:
    return _NORMAL.inv_cdf((1 + confidence) / 2)


def _counts(*counts: int) -> None:
    if min(counts) < 0:
        raise ValueError(f"counts are not negative: {counts}")


def _part(successes: int, n: int) -> None:
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is not possible")
