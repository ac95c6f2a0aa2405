"""The vectors of the domain page, and what holds for all counts."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate
from math import comb, inf, isclose, sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.experience import peak_end
from schemas.statistics import (
    Stratum,
    binomial_lower_tail,
    effort,
    ewma,
    ewma_spread,
    mean_interval,
    normal_beyond,
    nps,
    nps_interval,
    share_error,
    stratified,
    two_proportions,
    wilson,
)

counts = st.integers(0, 10_000)
shares = st.floats(0.001, 0.999)


@st.composite
def parts(draw: st.DrawFn, most: int = 10_000) -> tuple[int, int]:
    n = draw(st.integers(1, most))
    return draw(st.integers(0, n)), n


def test_vector_nps() -> None:
    assert nps(50, 30, 20) == 30
    assert [round(value, 2) for value in nps_interval(50, 30, 20)] == [29.13, 14.05, 44.20]


def test_vector_csat() -> None:
    found = wilson(80, 100)
    assert found
    assert [round(100 * value, 1) for value in found] == [80, 71.1, 86.7]


def test_vector_ces() -> None:
    answers = [7, 6, 5, 4, 2]
    found = effort(sum(one >= 5 for one in answers), sum(answers), len(answers))
    assert found
    assert (found.easy.estimate, found.mean) == (0.6, 4.8)


def test_vector_peak_end() -> None:
    assert peak_end([-3, 1, 2]) == -0.5


def test_vector_two_proportions() -> None:
    found = two_proportions(200, 10_000, 150, 10_000)
    assert found
    assert (round(found.z, 4), round(found.p, 5)) == (2.6963, 0.00701)


def test_vector_ewma() -> None:
    usual, n, weight, width = 0.05, 400, 0.2, 3
    samples = [0.05, 0.04, 0.035, 0.03, 0.03, 0.03]
    chart = list(accumulate(samples, lambda before, value: ewma(before, value, weight), initial=usual))[1:]
    limits = [usual - width * share_error(usual, n) * ewma_spread(weight, i) for i in range(1, 7)]
    assert [value < limit for value, limit in zip(chart, limits, strict=True)] == [False] * 5 + [True]
    assert (round(chart[5], 6), round(limits[5], 6)) == (0.037885, 0.039484)


def test_vector_guard() -> None:
    assert round(binomial_lower_tail(0, 50, 0.05), 3) == 0.077


def test_a_tail_of_thousands_is_exact() -> None:
    n, k = 2_000, 1_500
    exact = Fraction(sum(comb(n, i) * 78**i * 22 ** (n - i) for i in range(k + 1)), 100**n)
    assert isclose(binomial_lower_tail(k, n, 0.78), exact, rel_tol=1e-9)


def test_a_normal_value_lies_beyond() -> None:
    assert round(normal_beyond(0.05), 3) == 1.645
    assert normal_beyond(0) == inf


@given(parts(60), st.fractions(0, 1, max_denominator=50))
def test_the_tail_is_the_sum_of_its_terms(part: tuple[int, int], share: Fraction) -> None:
    k, n = part
    exact = sum(comb(n, i) * share**i * (1 - share) ** (n - i) for i in range(k + 1))
    assert isclose(binomial_lower_tail(k, n, float(share)), exact, rel_tol=1e-9, abs_tol=1e-12)


@given(parts(), shares)
def test_both_tails_are_everything(part: tuple[int, int], share: float) -> None:
    k, n = part
    upper = binomial_lower_tail(n - k - 1, n, 1 - share) if k < n else 0.0
    assert isclose(binomial_lower_tail(k, n, share) + upper, 1, abs_tol=1e-9)


@given(parts(), st.floats(0.5, 0.99), st.floats(0.5, 0.99))
def test_wilson_holds_its_estimate_and_widens_with_confidence(part: tuple[int, int], one: float, other: float) -> None:
    narrow, wide = wilson(*part, min(one, other)), wilson(*part, max(one, other))
    assert narrow
    assert wide
    assert 0 <= wide.low <= narrow.low <= narrow.estimate <= narrow.high <= wide.high <= 1


@given(parts())
def test_wilson_of_the_failures_is_the_mirror(part: tuple[int, int]) -> None:
    k, n = part
    one, other = wilson(k, n), wilson(n - k, n)
    assert one
    assert other
    assert isclose(one.low, 1 - other.high, abs_tol=1e-12)


@given(counts, counts, counts)
def test_nps_mirrors_and_stays_on_its_scale(promoters: int, passives: int, detractors: int) -> None:
    found, mirrored = (
        nps_interval(promoters, passives, detractors),
        nps_interval(detractors, passives, promoters),
    )
    assert -100 <= found.low <= found.estimate <= found.high <= 100
    assert isclose(found.low, -mirrored.high, abs_tol=1e-9)


@given(parts(), parts())
def test_two_shares_differ_as_much_the_other_way_round(one: tuple[int, int], other: tuple[int, int]) -> None:
    there, back = two_proportions(*one, *other), two_proportions(*other, *one)
    assert there
    assert back
    assert isclose(there.z, -back.z, abs_tol=1e-12)
    assert 0 <= there.p <= 1


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=50), st.floats(0.01, 1))
def test_an_average_stays_among_its_values(values: list[float], weight: float) -> None:
    found = list(accumulate(values, lambda before, value: ewma(before, value, weight)))[-1]
    assert min(values) - 1e-9 <= found <= max(values) + 1e-9


@given(st.floats(0.01, 1), st.integers(1, 1_000))
def test_the_spread_of_an_average_grows_to_its_limit(weight: float, samples: int) -> None:
    assert weight - 1e-12 <= ewma_spread(weight, samples) <= ewma_spread(weight, samples + 1) + 1e-12
    assert isclose(ewma_spread(weight, 1), weight)
    assert ewma_spread(weight, samples) <= sqrt(weight / (2 - weight)) + 1e-12


def test_of_nothing_nothing_is_said() -> None:
    assert nps(0, 0, 0) is None
    assert wilson(0, 0) is None
    assert two_proportions(0, 0, 1, 2) is None
    assert binomial_lower_tail(0, 0, 0.5) == 1


@pytest.mark.parametrize(("successes", "n"), [(-1, 5), (6, 5)])
def test_impossible_counts_are_refused(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="not possible"):
        wilson(successes, n)
    with pytest.raises(ValueError, match="not possible"):
        binomial_lower_tail(successes, n, 0.5)


@st.composite
def strata(draw: st.DrawFn) -> list[Stratum]:
    return [Stratum(*draw(parts(200)), *draw(parts(200))) for _ in range(draw(st.integers(1, 6)))]


def test_one_stratum_is_the_difference_of_two_shares() -> None:
    found = stratified([Stratum(200, 10_000, 150, 10_000)])
    assert found
    assert [round(value, 6) for value in found[:5]] == [0.005, 0.001366, 0.008634, 0.02, 0.015]
    assert (found.n, found.other_n, found.worse) == (10_000, 10_000, True)


def test_who_passes_it_does_not_count_as_what_it_does() -> None:
    """Those who leave more anyway pass it more often: taken together it looks as if it made them leave."""
    restless, calm = Stratum(360, 900, 40, 100), Stratum(10, 100, 90, 900)
    together = two_proportions(370, 1000, 130, 1000)
    found = stratified([restless, calm])
    assert together
    assert found
    assert together.z > 10
    assert found.estimate == 0
    assert not found.worse


@given(strata())
def test_the_difference_the_other_way_round_is_its_mirror(some: list[Stratum]) -> None:
    there = stratified(some)
    back = stratified(Stratum(one.other_had, one.other_n, one.had, one.n) for one in some)
    assert there
    assert back
    assert isclose(there.estimate, -back.estimate, abs_tol=1e-12)
    assert isclose(there.low, -back.high, abs_tol=1e-9)
    assert -1 <= there.low <= there.estimate + 1e-12 <= there.high + 2e-12
    assert isclose(there.share - there.other_share, there.estimate, abs_tol=1e-9)


def test_nothing_to_compare_with_says_nothing() -> None:
    assert stratified([Stratum(1, 5, 0, 0)]) is None
    with_others = stratified([Stratum(1, 5, 0, 0), Stratum(2, 10, 1, 10)])
    assert with_others
    assert with_others.n == 10


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=60), st.floats(0.5, 0.99))
def test_a_mean_lies_in_its_interval(values: list[float], confidence: float) -> None:
    found = mean_interval(sum(values), sum(value * value for value in values), len(values), confidence)
    assert found
    assert found.low <= found.estimate <= found.high
    assert isclose(found.estimate, sum(values) / len(values), abs_tol=1e-9)


def test_one_value_has_no_interval() -> None:
    assert mean_interval(1, 1, 1) is None
    assert effort(0, 0, 0) is None


def test_the_interval_covers_the_truth_in_pairs_as_in_crowds() -> None:
    """Many strata of two or three, few of hundreds; the usual share differs between strata, the difference is 0.1 in all."""
    chance = Random(1)

    def had(n: int, share: float) -> int:
        return sum(chance.random() < share for _ in range(n))

    for sizes, count in (((1, 2), 150), ((150, 90), 2)):
        covered = 0
        for _ in range(600):
            usual = [chance.choice((0.05, 0.2, 0.4)) for _ in range(count)]
            found = stratified(
                Stratum(had(sizes[0], share + 0.1), sizes[0], had(sizes[1], share), sizes[1]) for share in usual
            )
            assert found
            covered += found.low <= 0.1 <= found.high
        assert 0.92 <= covered / 600 <= 0.98
