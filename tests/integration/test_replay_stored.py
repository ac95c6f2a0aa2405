"""Replay of what the log does not have any more: older touchpoints from ClickHouse, newer ones from the log."""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition

from cli import filling
from cli.replaying import prepare
from processors.cutting import positions
from processors.settings import WorkerSettings
from runtime import generations
from runtime.kafka import read_topic
from schemas import topics
from sinks.reader import Reader, reader
from tests.integration.test_replay import (
    SOURCE,
    conflicting,
    count,
    eventually,
    failing,
    forget,
    replaying,
    send,
    touchpoints,
)
from tests.line import Line

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(900)]

FROM_CLICKHOUSE = ("--from", "clickhouse")
LEDGER = (
    "SELECT sum(sent), sum(stored), sum(superseded), sum(duplicate), sum(rejected), sum(erased), sum(missing) "
    "FROM v_ledger"
)


def ends(line: Line) -> dict[int, int]:
    """Of the log of touchpoints, as far as it was read."""
    committed = asyncio.run(positions(line.kafka, "identity"))
    return {tp.partition: at for tp, at in committed.items() if tp.topic == topics.TOUCHPOINTS.name}


def ledger(line: Line, generation: int) -> list[tuple[Any, ...]]:
    return line.rows(
        "SELECT source, hour, decision, sum(touchpoints) AS n FROM ledger FINAL WHERE generation = {generation:UInt16} "
        "GROUP BY ALL HAVING n != 0 ORDER BY ALL",
        {"generation": generation},
    )


def test_what_the_log_has_forgotten_comes_from_clickhouse(tmp_path: Path) -> None:
    some = touchpoints()
    first, second = some[: len(some) // 2], some[len(some) // 2 :]
    with Line(tmp_path, source=SOURCE) as line:
        send(line, first).wait(60)
        send(line, [conflicting(first)]).wait(60)
        line.settle(120)
        line.cli("identifiers", "block", f"customer_id:{some[0]['identifiers']['customer_id']}")
        line.cli("erase", f"customer_id:{some[-1]['identifiers'].get('customer_id', 'nobody')}", "--yes")
        line.settle(120)
        forget(line, topics.TOUCHPOINTS.name, {number: end // 2 for number, end in ends(line).items()})
        assert "desireline replay start --from clickhouse" in failing(line, "replay", "start")
        assert generations.existing(line.kafka) == [1]

        sender = send(line, second, rate=100)
        stored = topics.Generation(2).stored.name
        with replaying(line, signal.SIGKILL, FROM_CLICKHOUSE):
            eventually(lambda: generations.filling(line.kafka) == [2], "it takes what ClickHouse has")
            eventually(lambda: filled_up_to(line, 2), "it is written")
        assert generations.filling(line.kafka) == [2], "killed before it came to the log"
        assert "it still reads what ClickHouse has" in failing(line, "replay", "swap")
        assert "is being built from ClickHouse" in failing(line, "erase", "customer_id:1", "--yes")
        with replaying(line):  # it goes on where it was, whatever it is told
            eventually(lambda: not generations.filling(line.kafka), "it goes on with the log")
            sender.wait(120)
            send(line, [*first[:40], *second[:40], conflicting(first)]).wait(60)  # duplicates, and one more conflict
            line.settle(120)
            people, who, journeys = line.cli("replay", "compare").splitlines()
            assert (people, journeys) == ("person_touchpoints: the same", "journeys: the same")
            assert re.fullmatch("identities: the same(, but for [0-9]+ that no touchpoint carries any more)?", who), who
            for table in ("person_touchpoints", "journeys"):
                assert count(line, table, 1) == count(line, table, 2) > 50, table
            assert ledger(line, 1) == ledger(line, 2)
            before = line.rows(LEDGER)
            line.cli("replay", "swap")
            assert line.rows(LEDGER) == before
            assert line.rows(LEDGER)[0][1] == line.rows("SELECT uniqExact(event_id) FROM touchpoints")[0][0]
            line.cli("verify")
            line.start(line.add_worker(DESIRELINE_GENERATION="2"))
        assert line.stop("worker-1") == 0
        line.cli("replay", "drop", "1")
        assert stored not in asyncio.run(topic_names(line))
        line.pids()


def filled_up_to(line: Line, generation: int) -> int:
    group = topics.Generation(generation).group("replay")
    return sum(asyncio.run(positions(line.kafka, group)).values())


async def topic_names(line: Line) -> set[str]:
    from runtime.kafka import reader as consumer

    async with consumer(line.kafka) as one:
        return set(await one.topics())


class Failing(Reader):
    """Loses its connection at the given query, counted from now."""

    left = 0

    def stream(self, *arguments: Any, **more: Any) -> Iterator[Sequence[Any]]:
        self.left -= 1
        if not self.left:
            raise OSError("connection lost")
        return super().stream(*arguments, **more)


def test_broken_off_anywhere_each_touchpoint_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = touchpoints()
    with Line(tmp_path, source=SOURCE, workers=1) as line:
        send(line, some).wait(60)
        line.settle(120)
        for name, value in line.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(filling, "RANGE_ROWS", 100)
        settings = WorkerSettings(bootstrap=line.kafka.bootstrap)
        with reader(line.clickhouse) as clickhouse:
            one = Failing(clickhouse._client)
            cut = filling.cut_off(settings, 2, "sink", one, wanted=True)
            assert cut is not None
            assert not cut.doubtful
            assert {tp.partition: at for tp, at in cut.positions.items()} == ends(line)
            prepare(settings, 2, cut)
            assert filling.cut_off(settings, 2, "sink", one, wanted=True) is None, "it has begun"
            random.seed(1)
            broken_off = 0
            while True:
                one.left = random.randint(2, 4)
                try:
                    filling.fill(settings, 2, one)
                    break
                except OSError:
                    broken_off += 1
            assert broken_off > 1
            stored = asyncio.run(read_topic(line.kafka, topics.Generation(2).stored.name))
            events = Counter(json.loads(record.value or b"")["event_id"] for record in stored)
            assert set(events.values()) == {1}
            assert len(events) == line.rows("SELECT uniqExact(event_id) FROM touchpoints")[0][0]
            filling.fill(settings, 2, one)
            again = asyncio.run(read_topic(line.kafka, topics.Generation(2).stored.name))
            assert len(again) == len(stored)
        assert TopicPartition(topics.TOUCHPOINTS.name, 0) in asyncio.run(positions(line.kafka, "identity.g2"))
        line.cli("replay", "drop", "2")
        assert not generations.filling(line.kafka)
