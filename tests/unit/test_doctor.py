"""How the doctor judges what it sees."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.findings import (
    CLOCK_SECONDS,
    FoundTopic,
    clock_ahead,
    judge_clock,
    judge_platform,
    judge_secret,
    judge_space,
    judge_topics,
)
from runtime.settings import PUBLIC_SECRET
from schemas.topics import TOPICS

AS_DECLARED: dict[str, FoundTopic] = {
    topic.name: FoundTopic(4, {**topic.config, "compression.type": "producer"}) for topic in TOPICS
}


def problems(found: dict[str, FoundTopic]) -> list[str]:
    return [finding.text for finding in judge_topics(TOPICS, found) if finding.is_problem]


def test_topics_as_declared_are_no_problem() -> None:
    findings = judge_topics(TOPICS, AS_DECLARED)
    assert [finding.text for finding in findings] == [
        f"{len(TOPICS)} topics, 4 partitions each, configured as this release expects"
    ]
    assert not findings[0].is_problem


@pytest.mark.parametrize("name", [topic.name for topic in TOPICS])
def test_a_missing_topic_is_named(name: str) -> None:
    found = {other: topic for other, topic in AS_DECLARED.items() if other != name}
    assert problems(found) == [f"topics missing: {name}"]


def test_a_topic_with_another_configuration_is_named_with_both_values() -> None:
    found = AS_DECLARED | {"touchpoints": FoundTopic(4, {**AS_DECLARED["touchpoints"].config, "retention.ms": "1"})}
    assert len(problems(found)) == 1
    assert problems(found)[0].startswith("topic touchpoints: retention.ms is 1, not ")


def test_topics_with_different_partitions_are_a_problem() -> None:
    found = AS_DECLARED | {"people": FoundTopic(8, AS_DECLARED["people"].config)}
    assert len(problems(found)) == 1
    assert "people 8" in problems(found)[0]


@given(before=st.floats(0, 1e6), round_trip=st.floats(0, 1e3), at=st.floats(0, 1), error=st.floats(-1e4, 1e4))
def test_a_clock_is_never_blamed_for_transit(before: float, round_trip: float, at: float, error: float) -> None:
    after = before + round_trip
    seen = clock_ahead(before, before + at * round_trip + error, after)
    assert abs(seen) <= abs(error) + 1e-6
    assert seen == 0 or (seen > 0) == (error > 0)
    assert abs(seen) >= abs(error) - round_trip - 1e-6


def test_a_clock_that_is_off_is_a_problem() -> None:
    assert not judge_clock("Kafka", CLOCK_SECONDS).is_problem
    assert judge_clock("Kafka", CLOCK_SECONDS + 0.1).text == "Kafka's clock is 2.1 s ahead of this machine's"
    assert judge_clock("Kafka", -7.25).text == "Kafka's clock is 7.2 s behind this machine's"


def test_little_disk_and_missing_wheels_are_problems() -> None:
    assert judge_space(Path("/home"), 100 << 20).is_problem
    assert not judge_space(Path("/home"), 100 << 30).is_problem
    assert judge_platform("Linux", "riscv64", "3.11.7", ["chdb-core"]).is_problem
    assert not judge_platform("Linux", "x86_64", "3.11.7", []).is_problem


def test_the_public_secret_is_a_problem_until_somebody_says_so() -> None:
    assert judge_secret(PUBLIC_SECRET, chosen=False).is_problem
    assert not judge_secret(PUBLIC_SECRET, chosen=True).is_problem
    assert not judge_secret("of our own", chosen=True).is_problem
