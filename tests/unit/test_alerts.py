"""The watch: what it counts as usual, what it says of incidents, and what it keeps silent about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from math import isclose
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.ages import added, bucket, longest, usual_time
from alerts.baseline import Baseline, hour_of_week, seen
from alerts.causes import Alarm, joined
from alerts.chart import Chart, Run, chance_of_one, take
from alerts.counts import Counts, Key, Rules, Series
from alerts.series import Watched, counted
from alerts.watch import State, step
from schemas.alert import Alert

DAY = 1440
MONDAY = 4 * DAY  # 1970-01-05
RESEARCH, DECISION, PATIENCE = 2, 4, 600
WEB, APP = Series("purchase", DECISION, "web"), Series("purchase", DECISION, "app")
SEARCH, CALLS = Series("purchase", RESEARCH, "web"), Series("support", 1, "call_center")
EVERY = (WEB, APP, SEARCH, CALLS)
QUICK = Rules(
    patience={(one.journey, one.stage): PATIENCE for one in EVERY}, learns_time=DAY, mature=2 * DAY, settles=DAY
)
AGED = 4 * DAY  # minutes of a history after which its series are old enough
Fails = Callable[[Series, int], bool]


def lived(
    series: Mapping[Series, int], minutes: int, fails: Fails, seed: int = 1
) -> Iterator[tuple[int, dict[Series, Counts]]]:
    """So many enter each series a minute; 80 % move on within three minutes, 40 % of those who enter while it fails."""
    chance = Random(seed)
    moving: dict[int, defaultdict[Series, int]] = defaultdict(lambda: defaultdict(int))
    silent: dict[int, dict[Series, tuple[int, int]]] = defaultdict(dict)
    for minute in range(MONDAY, MONDAY + minutes):
        for one, entered in series.items():
            good = sum(chance.random() < (0.4 if fails(one, minute - MONDAY) else 0.8) for _ in range(entered))
            moving[minute + 3][one] += good
            silent[minute + PATIENCE][one] = entered, entered - good
        yield (
            minute,
            {
                one: Counts(
                    entered,
                    ((3, moving[minute][one]),) if moving[minute][one] else (),
                    *silent[minute].get(one, (0, 0)),
                )
                for one, entered in series.items()
            },
        )


def watched(history: Iterator[tuple[int, dict[Series, Counts]]], rules: Rules = QUICK) -> list[tuple[int, Alert]]:
    """What is said, with the minute of the history in which it is."""
    state, said = State(), []
    for minute, counts in history:
        state, changes = step(state, minute, counts, rules)
        said += [(minute - MONDAY, alert) for alert in changes]
    return said


def between(first: int, last: int, *series: Series) -> Fails:
    return lambda one, minute: first <= minute < last and (not series or one in series)


def kinds(said: list[tuple[int, Alert]]) -> list[str]:
    return [alert.change for _, alert in said]


def test_an_incident_opens_one_alert_and_its_end_resolves_it() -> None:
    said = watched(lived({WEB: 20, APP: 20}, AGED + DAY, between(AGED, AGED + 30, WEB)))
    (opened_at, opened), (resolved_at, resolved) = said
    assert AGED + 3 < opened_at < AGED + 15  # those of the first minute are judged after the usual time
    assert AGED + 30 < resolved_at < AGED + 60
    assert (opened.change, resolved.change) == ("opened", "resolved")
    assert (opened.channel, opened.stage, opened.measure) == ("web", DECISION, "progress")
    assert opened.alert_id == resolved.alert_id
    assert resolved.version > opened.version
    assert isclose(opened.expected, 0.8, abs_tol=0.03)
    assert opened.observed < 0.7  # the average begins with the good minutes before
    assert abs(opened.since // 60_000 - MONDAY - AGED) <= 6
    assert resolved.stays >= 20 * 30
    assert isclose(resolved.lost, 0.4 * 20 * 30, rel_tol=0.2)


def test_its_drop_offs_a_patience_later_are_no_second_alert_but_others_are() -> None:
    fails = between(AGED, AGED + 30, WEB)
    assert kinds(watched(lived({WEB: 20}, AGED + 2 * PATIENCE, fails))) == ["opened", "resolved"]
    # whoever moves on does so after the usual time alone: progress is blind, and the drop-off tells
    deaf = (
        (minute, {one: Counts(0, (), count.decided, count.dropped) for one, count in counts.items()})
        for minute, counts in lived({WEB: 20}, AGED + 2 * PATIENCE, fails)
    )
    (at, opened), _ = watched(deaf)
    assert AGED + PATIENCE < at < AGED + PATIENCE + 15
    assert opened.measure == "drop_off"
    assert opened.observed > 0.3 > opened.expected


def test_one_cause_is_one_alert_named_by_what_fails_first_or_most() -> None:
    together = watched(lived(dict.fromkeys(EVERY, 20), AGED + DAY, between(AGED, AGED + 40, WEB, APP, SEARCH)))
    assert kinds(together).count("opened") == kinds(together).count("resolved") == 1
    last = together[-1][1]
    names = {str(Key(Series(last.journey, last.stage, last.channel), last.measure)), *last.also}
    assert names == {f"purchase·{stage}·{channel}·progress" for stage, channel in ((4, "web"), (4, "app"), (2, "web"))}
    assert len({alert.alert_id for _, alert in together}) == 1


def test_two_causes_are_two_alerts() -> None:
    apart = watched(lived({WEB: 20, CALLS: 20}, AGED + DAY, between(AGED, AGED + 40)))
    assert kinds(apart).count("opened") == kinds(apart).count("resolved") == 2
    assert {alert.channel for _, alert in apart} == {"web", "call_center"}


@pytest.mark.parametrize("seed", range(5))
def test_nothing_happens_where_nothing_happens(seed: int) -> None:
    assert watched(lived({WEB: 20, CALLS: 3}, AGED + 2 * DAY, lambda *_: False, seed)) == []


def test_a_series_that_is_too_young_says_nothing() -> None:
    assert watched(lived({WEB: 20}, AGED - DAY, between(DAY, DAY + 60))) == []


def test_a_few_customers_are_no_alert() -> None:
    calm = dict.fromkeys(EVERY, 20)
    fails = between(AGED, AGED + 2)  # two minutes: some customers lost, and over
    assert watched(lived(calm, AGED + DAY, fails), msgspec.structs.replace(QUICK, least_lost=100.0)) == []


def test_a_certain_but_small_loss_is_no_alert() -> None:
    # 500 a minute make a loss of 5 % certain within minutes
    chance = Random(7)

    def slightly(history: Iterator[tuple[int, dict[Series, Counts]]]) -> Iterator[tuple[int, dict[Series, Counts]]]:
        for minute, counts in history:
            worse = minute - MONDAY > AGED
            yield (
                minute,
                {
                    one: Counts(
                        c.entered,
                        tuple(
                            (age, n - sum(worse and chance.random() < 0.05 for _ in range(n)))
                            for age, n in c.progressed
                        ),
                    )
                    for one, c in counts.items()
                },
            )

    few = lived({WEB: 500}, AGED + 200, lambda *_: False)
    assert watched(slightly(few)) == []


def test_what_lasts_becomes_usual() -> None:
    said = watched(lived({WEB: 20}, AGED + 6 * DAY, lambda _, minute: minute >= AGED))
    assert kinds(said) == ["opened", "widened", "resolved"]  # widened by the drop-offs
    assert said[2][1].settled
    assert said[2][0] - said[0][0] == QUICK.settles


def test_what_has_become_usual_is_learnt_anew() -> None:
    state = State()
    for minute, counts in lived({WEB: 20}, AGED + DAY + 30, lambda _, minute: minute >= AGED):
        state, _ = step(state, minute, counts, QUICK)
    assert not state.causes
    assert not state.series[WEB].progress.alarmed
    assert state.series[WEB].progress.base.since >= MONDAY + AGED + DAY


def test_a_step_changes_nothing_of_the_state_before() -> None:
    states, history = [State()], list(lived({WEB: 20}, AGED + 60, between(AGED, AGED + 30)))
    for minute, counts in history:
        states.append(step(states[-1], minute, counts, QUICK)[0])
    again, (minute, counts) = states[AGED + 8], history[AGED + 8]
    assert step(again, minute, counts, QUICK) == step(again, minute, counts, QUICK)
    assert step(again, minute, counts, QUICK)[0] == states[AGED + 9]
    assert len(msgspec.msgpack.encode(list(states[-1].series.values()))) < 8_000  # bytes; that is all it remembers


def test_minutes_come_in_order_and_each_once() -> None:
    state, _ = step(State(), MONDAY, {}, QUICK)
    with pytest.raises(ValueError, match="comes the next one"):
        step(state, MONDAY, {}, QUICK)
    with pytest.raises(ValueError, match="comes the next one"):
        step(state, MONDAY + 2, {}, QUICK)


def test_a_stage_that_no_definition_has_is_not_watched() -> None:
    state, _ = step(State(), MONDAY, {Series("old", 9, "web"): Counts(5)}, QUICK)
    assert not state.series


@given(st.integers(0, 500_000))
def test_a_bucket_holds_its_ages_within_an_eighth(age: int) -> None:
    number = bucket(age)
    if number < 127:
        assert age <= longest(number) <= max(age, age * 9 // 8)
        assert bucket(longest(number)) == number
        assert bucket(longest(number) + 1) == number + 1


@given(st.lists(st.integers(0, 100_000), min_size=100, max_size=300), st.integers(1, 200_000))
def test_the_usual_time_is_the_eightieth_percentile(ages: list[int], patience: int) -> None:
    found = usual_time(added((), [(age, 1) for age in ages]), patience)
    exact = sorted(ages)[-(-8 * len(ages) // 10) - 1]
    assert found is not None
    assert min(exact, patience) <= found <= max(1, min(exact * 9 // 8, patience))


def test_of_few_stays_no_usual_time_is_told() -> None:
    assert usual_time(added((), [(3, 99)]), 100) is None


stays = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 250)), max_size=60)


@given(stays, st.integers(1, 150))
def test_stays_are_judged_once_and_when_the_usual_time_is_over(lives: list[tuple[int, int]], usual: int) -> None:
    rules = Rules(patience={("purchase", DECISION): 10_000}, learns_time=10_000)
    one, found = Watched(usual=usual, review=10_000, first=0), []
    width = one.width
    for minute in range(600):
        moved = tuple((age, 1) for at, age in lives if at + age == minute)
        one, judged = counted(one, WEB, minute, Counts(sum(at == minute for at, _ in lives), moved), rules)
        for item in judged:
            assert item.minute + width - 1 + usual == minute
            found.append((item.minute, item.stays, item.good))
        assert len(one.groups) <= 63
    expected = [
        (group * width, len(ages), sum(age <= usual for age in ages))
        for group in range(300 // width + 1)
        if (ages := [age for at, age in lives if at // width == group]) and (group + 1) * width + usual <= 600
    ]
    assert found == expected


def test_the_group_under_way_when_the_usual_time_is_told_is_left_out() -> None:
    rules = Rules(patience={("purchase", DECISION): 10_000}, learns_time=101)
    watching, found = Watched(), []
    for minute in range(400):
        moved = ((120, 200),) if minute == 99 else ()
        watching, judged = counted(watching, WEB, minute, Counts(1, moved), rules)
        found += judged
    assert watching.usual > 120
    assert found[0].minute > 101
    assert {judged.stays for judged in found} == {watching.width}


def test_more_than_all_cannot_have_moved_on() -> None:
    rules = Rules(patience={("purchase", DECISION): 10_000})
    watching, _ = counted(Watched(usual=2, review=10_000), WEB, 0, Counts(3), rules)
    watching, _ = counted(watching, WEB, 1, Counts(0, ((1, 5),)), rules)  # two of them are not known to have entered
    _, (judged,) = counted(watching, WEB, 2, Counts(), rules)
    assert (judged.stays, judged.good) == (3, 3)


def test_hours_of_the_week_follow_the_zone_and_its_summer_time() -> None:
    def of_week(month: int, zone: str) -> int:
        monday = datetime(2025, month, 7 if month == 7 else 6, 23, tzinfo=UTC)  # late, so that Berlin has Tuesday
        return hour_of_week(int(monday.timestamp()) // 3600, zone)

    assert (of_week(1, "UTC"), of_week(7, "UTC")) == (23, 23)
    assert (of_week(1, "Europe/Berlin"), of_week(7, "Europe/Berlin")) == (24, 25)


def test_an_hour_with_an_alert_is_not_learnt() -> None:
    base = Baseline()
    for minute in range(120):
        base = seen(base, minute, 10, 8, False, QUICK)
    spoilt = base
    for minute in range(120, 240):
        base = seen(base, minute, 10, 8, False, QUICK)
        spoilt = seen(spoilt, minute, 10, 0, minute == 130, QUICK)
    assert sum(base.all_stays) == 1_800
    assert sum(spoilt.all_stays) == 1_200
    assert spoilt.share == base.share == 0.8


def test_what_hours_vary_beyond_chance_is_learnt() -> None:
    chance = Random(3)
    for spread in (0.0, 0.05):
        base, rules = Baseline(), msgspec.structs.replace(QUICK, mature=0)
        for hour in range(168 * 12):
            share = 0.7 + chance.choice((-spread, spread))
            base = seen(base, hour * 60, 1_000, sum(chance.random() < share for _ in range(1_000)), False, rules)
        assert isclose(base.extra**0.5, spread, abs_tol=0.012)


def test_no_single_sample_alarms() -> None:
    base = Baseline()
    for minute in range(3 * DAY):
        base = seen(base, minute, 20, 16, False, QUICK)
    chart = take(Chart(base=base), 3 * DAY, 10_000, 0, chance_of_one(10, 0.1), QUICK)
    assert chart.depth > 0
    assert not chart.alarmed


def test_more_series_need_more_certainty() -> None:
    assert chance_of_one(1, 0.1) > chance_of_one(100, 0.1)
    assert isclose(100 * 7 * DAY * chance_of_one(100, 0.1), 0.1)


def sampled(good: int, beyond: float = 0.0, **changes: float) -> Chart:
    """A chart after ten samples of a hundred stays, where eighty are usual and hours vary `beyond` chance (a variance)."""
    rules = msgspec.structs.replace(QUICK, **changes)
    base = Baseline()
    for minute in range(3 * DAY):
        base = seen(base, minute, 20, 16, False, rules)
    chart = Chart(base=msgspec.structs.replace(base, beyond=beyond * 1e6, beyond_stays=1e6))
    for minute in range(3 * DAY, 3 * DAY + 10):
        chart = take(chart, minute, 100, good, 1e-6, rules)
    return chart


def test_each_guard_alone_keeps_silence() -> None:
    assert sampled(65).alarmed
    assert not sampled(65, least_stays=2_000).alarmed
    assert not sampled(65, least_lost=200.0).alarmed
    assert not sampled(65, least_loss=0.25).alarmed


def test_hours_that_vary_much_need_more_to_alarm() -> None:
    calm, wild = sampled(70), sampled(70, 0.06**2)
    assert calm.alarmed
    assert not wild.alarmed
    assert wild.depth < calm.depth / 2  # the limit of the chart is wider


def test_a_bad_hour_is_not_yet_an_incident() -> None:
    """Eleven of fifteen where nearly fourteen are usual: out of bounds before a bad hour is ruled out as the cause."""
    base = Baseline()
    for minute in range(3 * DAY):
        base = seen(base, minute, 25, 23, False, QUICK)
    chart = Chart(base=msgspec.structs.replace(base, beyond=0.02**2 * 1e6, beyond_stays=1e6))
    out, alarmed = [], []
    for minute in range(3 * DAY, 3 * DAY + 14):
        chart = take(chart, minute, 15, 11, 1e-6, QUICK)
        out.append(chart.depth > 1)
        alarmed.append(chart.alarmed)
    assert sum(out) == 8
    assert sum(alarmed) == 5


def test_the_deepest_names_the_cause() -> None:
    run = Run(5, 40, 10, 32.0, 6.4)
    less, more = Alarm(Key(APP, "progress"), 1.2, run), Alarm(Key(WEB, "progress"), 1.5, run)
    (cause,), (said,) = joined((), [less, more], 9)
    assert cause.members == (more.key, less.key)
    assert (said.change, said.channel, said.also) == ("opened", "web", ["purchase·4·app·progress"])
