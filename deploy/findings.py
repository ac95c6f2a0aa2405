"""How `desireline doctor` judges what it has seen: pure functions, so that each rule has a test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from runtime.settings import PUBLIC_SECRET
from schemas.topics import Topic

NEEDED_BYTES = 1 << 30  # below this the local stack does not start: Kafka and ClickHouse stop when a disk is full
CLOCK_SECONDS = 2.0  # arrival times are the broker's, so deadlines and latencies are off by as much as its clock


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was looked at, and, when it is a problem, what helps."""

    text: str
    help: str = ""

    @property
    def is_problem(self) -> bool:
        return bool(self.help)


class FoundTopic(NamedTuple):
    """A topic as it is on the broker."""

    partitions: int
    config: Mapping[str, str]


def judge_platform(system: str, machine: str, python: str, missing: list[str]) -> Finding:
    here = f"Python {python} on {system} {machine}"
    if missing:
        return Finding(
            f"{here}: {' and '.join(missing)} not installed, so no local stack",
            "pip install 'desireline[local]'; where there are no wheels: docker compose, or your own servers",
        )
    return Finding(f"{here}, with everything that the local stack needs")


def judge_space(home: Path, free: int) -> Finding:
    if free < NEEDED_BYTES:
        return Finding(f"{free >> 20} MB of disk left for {home}", "make room, or move DESIRELINE_HOME")
    return Finding(f"{free / (1 << 30):.0f} GB of disk left for {home}")


def judge_clock(server: str, ahead_seconds: float) -> Finding:
    """`ahead_seconds`: how far the server's clock is ahead of ours (negative: behind), the transit already taken off."""
    if abs(ahead_seconds) > CLOCK_SECONDS:
        direction = "ahead of" if ahead_seconds > 0 else "behind"
        return Finding(f"{server}'s clock is {abs(ahead_seconds):.1f} s {direction} this machine's", "run NTP on both")
    return Finding(f"{server}'s clock agrees with this machine's")


def clock_ahead(before: float, server: float, after: float) -> float:
    """How far a clock is ahead that showed `server` at some moment between `before` and `after` of ours; 0 if it may
    be right."""
    return max(0.0, server - after) + min(0.0, server - before)


def judge_secret(secret: str, *, chosen: bool) -> Finding:
    """`chosen`: the setting says so, as it must where a release before has made the ids that are there."""
    if secret != PUBLIC_SECRET:
        return Finding("person ids are made with a secret of your own")
    public = "person ids are made with the public secret: whoever has the ids can try out whose they are"
    if chosen:
        return Finding(public)
    return Finding(
        public,
        f"set DESIRELINE_SECRET to one of your own for all processes; if there is data already, to {PUBLIC_SECRET}, which "
        "its ids were made with",
    )


def judge_generation(live: int, configured: int) -> Finding:
    if live != configured:
        return Finding(
            f"generation {live} is live, and the workers' setting is {configured}",
            f"start workers and the sink with DESIRELINE_GENERATION={live}, unless `desireline replay` is at work",
        )
    return Finding(f"generation {live} is live")


def judge_topics(expected: Iterable[Topic], found: Mapping[str, FoundTopic]) -> list[Finding]:
    findings = []
    present = [topic for topic in expected if topic.name in found]
    missing = [topic.name for topic in expected if topic.name not in found]
    if missing:
        findings.append(Finding(f"topics missing: {', '.join(missing)}", "desireline topics create"))
    for topic in present:
        actual = found[topic.name].config
        wrong = [
            f"{name} is {actual.get(name, 'unset')}, not {value}"
            for name, value in topic.config.items()
            if actual.get(name) != value
        ]
        if wrong:
            findings.append(
                Finding(f"topic {topic.name}: {'; '.join(wrong)}", "kafka-configs --alter, or ask who did it")
            )
    counts = {topic.name: found[topic.name].partitions for topic in present}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        findings.append(Finding(f"topics differ in partitions: {listed}", "desireline topics resize"))
    if not findings:
        number = next(iter(counts.values()), 0)
        findings.append(Finding(f"{len(counts)} topics, {number} partitions each, configured as this release expects"))
    return findings


def judge_migrations(expected: int, pending: list[str]) -> Finding:
    if pending:
        return Finding(f"migrations not applied: {', '.join(pending)}", "python -m sinks.migrate")
    return Finding(f"all {expected} migrations are applied")
