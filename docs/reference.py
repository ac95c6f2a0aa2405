"""Writes docs/reference.md from the code, so that it cannot be out of date: `python docs/reference.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import prometheus_client
import typer
from pydantic.fields import FieldInfo

from alerts.settings import AlertSettings
from cli.main import app
from dashboard.settings import DashboardSettings
from ingest.rejected import NOT_KEPT
from ingest.settings import CollectorSettings
from processors.settings import WorkerSettings
from runtime import metrics
from runtime.settings import ClickHouseSettings, KafkaSettings, ProcessSettings
from schemas.dead_letter import REASONS
from schemas.topics import TOPICS
from schemas.touchpoint import Consent, Context, Feedback, Touchpoint, Value
from sinks.settings import SinkSettings

PAGE = Path(__file__).with_name("reference.md")
HEADER = """# Reference

Everything that has a name: the fields of a touchpoint, commands, settings, topics, views, reasons of a rejection, metrics.
Written from the code by `python docs/reference.py`; a test fails when it is out of date.
"""


def _row(*cells: object) -> str:
    return "| " + " | ".join(re.sub(r"\s+", " ", str(cell)).replace("|", "\\|") for cell in cells) + " |"


def _table(*heads: str) -> Iterator[str]:
    yield ""
    yield _row(*heads)
    yield "|" + "---|" * len(heads)


def touchpoint() -> Iterator[str]:
    yield "\n## The touchpoint\n"
    yield "What a source sends. The JSON Schema is `schemas/examples/touchpoint.schema.json`. Unknown fields are kept in"
    yield "`properties`."
    for model in (Touchpoint, Context, Value, Feedback, Consent):
        yield f"\n### {model.__name__}\n"
        yield (model.__doc__ or "").strip().splitlines()[0]
        yield from _table("field", "needed", "meaning")
        for name, field in model.model_fields.items():
            yield _row(f"`{name}`", "yes" if field.is_required() else "", field.description or "")


def commands() -> Iterator[str]:
    yield "\n## Commands\n"
    yield "`desireline COMMAND --help` says more."
    yield from _table("command", "what it does")
    yield from _commands(typer.main.get_command(app), "desireline")


def _commands(command: Any, path: str) -> Iterator[str]:
    if hasattr(command, "commands"):
        for name, child in command.commands.items():
            yield from _commands(child, f"{path} {name}")
        return
    arguments = " ".join(str(p.name).upper() for p in command.params if p.param_type_name == "argument")
    yield _row(f"`{path} {arguments}`".replace(" `", "`"), (command.help or "").strip().split("\n\n")[0])


def settings() -> Iterator[str]:
    yield "\n## Settings\n"
    yield "Environment variables, read once when a process starts."
    seen: set[str] = set()
    for title, model in (
        ("Every process", ProcessSettings),
        ("Kafka", KafkaSettings),
        ("ClickHouse", ClickHouseSettings),
        ("Collector", CollectorSettings),
        ("Worker", WorkerSettings),
        ("Sink", SinkSettings),
        ("Alerts", AlertSettings),
        ("Dashboard", DashboardSettings),
    ):
        yield f"\n### {title}"
        yield from _table("variable", "default", "meaning")
        for field in model.model_fields.values():
            name = str(field.validation_alias)
            if name not in seen:
                seen.add(name)
                yield _row(f"`{name}`", _default(field), field.description or "")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "none: must be given"
    if isinstance(field.default, Path) and field.default.is_absolute():
        return f"`{field.default.name}` that ships with desireline"
    return "" if field.default is None else f"`{field.default}`"


def topics() -> Iterator[str]:
    yield "\n## Topics\n"
    yield "Any client may read them, `read_committed`; only desireline writes them. Records are JSON; keys are placed by"
    yield "Kafka's default partitioner (murmur2)."
    yield from _table("topic", "key", "written by", "holds", "kept")
    for topic in TOPICS:
        days = int(topic.config.get("retention.ms", 0)) // 86_400_000
        kept = f"{days} days" if days else "the latest of each key"
        yield _row(f"`{topic.name}`", topic.key, topic.writer, topic.holds, kept)


def views() -> Iterator[str]:
    yield "\n## Views\n"
    yield "What BI tools read in ClickHouse. `desireline sql 'DESCRIBE v_ledger'` explains the columns."
    yield from _table("view", "holds")
    shape = (PAGE.parents[1] / "sinks/schema.sql").read_text(encoding="utf-8")
    for name, comment in re.findall(
        r"^CREATE VIEW (v_\w+)\n(?:.+\n)+?COMMENT '((?:[^'\\]|\\.)*)'$", shape, re.MULTILINE
    ):
        yield _row(f"`{name}`", comment.replace("\\'", "'"))


def reasons() -> Iterator[str]:
    yield "\n## Why something is rejected\n"
    yield "In the answer of the collector, in the topic and table `dead_letters`."
    yield from _table("reason", "meaning")
    for reason, meaning in REASONS.items():
        yield _row(f"`{reason}`", meaning)
    yield from (_row(f"`{reason}`", meaning) for reason, meaning in NOT_KEPT.items())


def measured() -> Iterator[str]:
    yield "\n## Metrics\n"
    yield "Prometheus, at `/metrics` of collector and dashboard and of the port `DESIRELINE_METRICS_PORT` of the others."
    yield from _table("metric", "type", "labels", "meaning")
    for metric in vars(metrics).values():
        if isinstance(metric, prometheus_client.metrics.MetricWrapperBase):
            suffix = "_total" if isinstance(metric, prometheus_client.Counter) else ""
            labels = ", ".join(metric._labelnames)
            yield _row(f"`{metric._name}{suffix}`", type(metric).__name__.lower(), labels, metric._documentation)


def page() -> str:
    """The whole page."""
    parts = (touchpoint(), commands(), settings(), topics(), views(), reasons(), measured())
    return HEADER + "\n".join(line for part in parts for line in part) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
