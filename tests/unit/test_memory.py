"""The memory back end keeps the store's promises: atomic, nothing lost or doubled, whatever crashes and in any order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.chunked.memory import MemoryKafka, MemoryPartition, MemoryRun
from runtime.kafka import partition_of
from tests.prove.chunked.expected import compare
from tests.prove.chunked.job import OUT_PARTITIONS, PARTITIONS, Counting, key_of

LEG = Counting("counting")


def run_of(seed: int) -> MemoryRun:
    return MemoryRun([LEG], MemoryKafka(PARTITIONS, {LEG.out: OUT_PARTITIONS}), seed=seed, now=1_000)


def differences(run: MemoryRun) -> dict[str, int]:
    return dict(compare(*[run.kafka.records(topic) for topic in (LEG.entry, LEG.changelog, LEG.hop, LEG.out)]))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1 << 32),
    ids=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 20)), min_size=1, max_size=60),
    crash=st.sampled_from([0.0, 0.05, 0.3]),
)
def test_whatever_crashes_the_result_is_that_of_an_offline_computation(
    seed: int, ids: list[tuple[int, int]], crash: float
) -> None:
    run = run_of(seed)
    for key, number in ids:
        run.produce(LEG.entry, key_of(key), b"%d" % number)
        run.step(crash)
        run.step(crash)
        run.advance(7)
    run.settle()
    assert differences(run) == {}


def test_it_is_deterministic() -> None:
    def outcome(seed: int) -> list[object]:
        run = run_of(seed)
        for number in range(200):
            run.produce(LEG.entry, key_of(number % 9), b"%d" % number)
            run.step(crash=0.1)
        run.settle()
        return [run.kafka.records(topic) for topic in (LEG.changelog, LEG.hop, LEG.out)]

    assert outcome(1) == outcome(1)
    assert outcome(1) != outcome(2)


def test_a_crash_loses_what_was_not_committed_and_only_that() -> None:
    run = run_of(0)
    partition = run.partition(LEG.name, 0)
    key = next(key_of(number) for number in range(100) if partition_of(key_of(number), PARTITIONS) == 0)
    run.produce(LEG.entry, key, b"1")
    partition.take(LEG.entry, 10)
    partition.crash()
    assert partition.lag(LEG.entry) == 1
    partition.take(LEG.entry, 10)
    assert partition.commit(run.now)
    partition.crash()
    assert partition.lag(LEG.entry) == 0
    assert not partition.commit(run.now)


def test_a_back_end_that_forgets_to_move_the_positions_is_noticed() -> None:
    class Forgetful(MemoryPartition):
        def crash(self) -> None:
            self._committed = dict.fromkeys(self._committed, 0)
            super().crash()

    run = run_of(3)
    partitions = [Forgetful(LEG, number, run.kafka) for number in range(PARTITIONS)]
    run.produce(LEG.entry, key_of(1), b"1")
    for _ in range(2):
        for partition in partitions:
            partition.take(LEG.entry, 10)
            partition.commit(run.now)
            partition.crash()
    assert differences(run)
