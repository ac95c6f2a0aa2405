"""The picture of `desireline watch`: it fits, and it says what is going on."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cli.figures import DropOff, OpenAlert, Refused, StageFigures, Transition
from cli.live import Process, Snapshot, latency_buckets
from cli.screen import picture

NOON = 1_772_366_400.0  # 2026-03-01T12:00:00Z
STAGES = ("awareness", "research", "consideration", "decision", "purchase", "use", "support", "loyalty")


def busy(stages: int = 8, listed: int = 40) -> Snapshot:
    names = [STAGES[rank] if rank < len(STAGES) else f"stage {rank}" for rank in range(stages)]
    return Snapshot(
        at=NOON,
        definition="purchase",
        journeys=12_345,
        stages=[
            StageFigures(rank, name, 1_000 // rank, 600 // rank, 300 // rank, 10, 1_000 // rank)
            for rank, name in enumerate(names, 1)
        ],
        drop_offs=[
            DropOff(f"customer_id:c-{n}", int(NOON - 60 * n) * 1000, 4, "store", "waiting") for n in range(listed)
        ],
        transitions=[Transition("seated", "waiting", 2_572 - n) for n in range(listed)],
        refused=Refused(7, 2, "out_of_time"),
        accepted=1_234_567,
        rate=12.3,
        rates=[0, 1, 2, 3] * 10,
        lags={"identity": 0, "stitch": 12, "sink": 3_456},
        latency=(0.31, 0.62),
        processes=[Process("kafka", "running", 0), Process("topics", "done", 0), Process("worker", "restarting", 2)],
    )


def painted(now: Snapshot, width: int = 80, height: int = 24) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(picture(now, width, height))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().rstrip("\n").split("\n")


def test_everything_is_on_80_by_24() -> None:
    lines = painted(busy())
    text = "\n".join(lines)
    assert len(lines) == 24
    assert "purchase  12,345 journeys" in lines[0]
    assert lines[0].endswith("12:00:00 UTC")
    for said in (
        "12.3 a second", "1,234,567 accepted", "p50 0.31 s  p99 0.62 s", "identity 0  stitch 12  sink 3,456 records",
        "7 refused (2 in 10 min", "c-1 waiting (store)", "2,572 seated → waiting", "● kafka",
        "○ worker restarting (restarted 2×)",
    ):  # fmt: skip
        assert said in text, said
    decision = next(line for line in lines if line.startswith("decision"))
    assert decision.split() == ["decision", "250", decision.split()[2], "150", "75", "30.0", "%", "10", "25"]
    assert "topics" not in text, "a task that is done is no process"


@given(st.integers(0, 32), st.integers(0, 40), st.integers(60, 220), st.integers(16, 70))
def test_it_fits_whatever_the_terminal_and_the_company(stages: int, listed: int, width: int, height: int) -> None:
    lines = painted(busy(stages, listed), width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width


def test_before_anything_happened_it_says_what_it_waits_for() -> None:
    text = "\n".join(painted(Snapshot(at=NOON)))
    assert "waiting for the sink to say which stages there are" in text
    assert "0 accepted" in text


def test_what_cannot_be_read_is_said_where_the_eye_is() -> None:
    now = busy()
    now.problems = ["no ClickHouse at 127.0.0.1:9000: is it running?"]
    assert "no ClickHouse at 127.0.0.1:9000" in painted(now)[-1]


def test_the_latency_is_that_of_journeys() -> None:
    metrics = """# TYPE desireline_sink_latency_seconds histogram
desireline_sink_latency_seconds_bucket{le="0.5",rows="journeys"} 3.0
desireline_sink_latency_seconds_bucket{le="+Inf",rows="journeys"} 4.0
desireline_sink_latency_seconds_bucket{le="0.5",rows="touchpoints"} 9.0
desireline_sink_latency_seconds_count{rows="journeys"} 4.0
# TYPE desireline_sink_rows counter
desireline_sink_rows_total{table="journeys"} 5.0
"""
    assert latency_buckets(metrics) == {0.5: 3.0, float("inf"): 4.0}


def test_the_gravest_alert_is_in_the_picture_and_fits() -> None:
    now = busy()
    for journey in ("purchase", "come_back"):
        alert = OpenAlert(journey, "decision", "web", "progress", 0.44, 0.94, 37.4, int(NOON - 300) * 1000)
        now.alerts = [*now.alerts, alert]
    console = Console(file=io.StringIO(), width=110, record=True)
    console.print(picture(now, 110, 24))
    shown = console.export_text()
    assert "▲ purchase · decision · web: 44% move on in time, usually 94%; 37 lost since 11:55; 1 more" in shown
    assert len(shown.splitlines()) <= 24
