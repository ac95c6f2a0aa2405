"""The restaurant of `desireline demo`: its journeys told fast, its guests of five weeks, of now, and the incident to come."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from schemas.rule import milliseconds

JOURNEYS = Path(__file__).parents[1] / "ingest" / "simulator" / "journeys.yaml"
SPEED = 1_440  # a day of the restaurant passes in a minute
HISTORY = timedelta(weeks=5)  # alerts learn usual times for a week, and usual shares for three
INCIDENT_AFTER, INCIDENT = timedelta(minutes=2), timedelta(minutes=12)


class Guests(NamedTuple):
    """One run of `desireline simulate`: name, and options beside those of where it goes."""

    name: str
    options: list[str]


def journeys() -> str:
    """The file of journeys, with every time as much shorter as the restaurant's days are."""
    content = yaml.safe_load(JOURNEYS.read_text(encoding="utf-8"))
    head = f"# {JOURNEYS.name} of the simulated restaurant, where a day passes in a minute: every time divided by {SPEED:,}.\n"
    return head + yaml.safe_dump(_faster(content), sort_keys=False, allow_unicode=True)


def _faster(part: Any) -> Any:
    if isinstance(part, dict):
        return {
            key: _shorter(value) if key in ("patience", "ends_after") else _faster(value) for key, value in part.items()
        }
    return [_faster(one) for one in part] if isinstance(part, list) else part


def _shorter(written: str) -> str:
    length = milliseconds(written)
    assert isinstance(length, int)
    return f"{length // SPEED / 1000:g}s"


def history(now: datetime) -> Guests:
    """Few guests, over five weeks that end now."""
    return Guests("history", _options(now - HISTORY, HISTORY, customers=3_000, seed=1))


def live(now: datetime) -> list[Guests]:
    """A crowd for two hours; and after some minutes another one, for which half of the checkouts on web and app fail."""
    broken = _options(now + INCIDENT_AFTER, INCIDENT, customers=3_000, seed=3)
    return [
        Guests("crowd", _options(now, timedelta(hours=2), customers=12_000, seed=2)),
        Guests("incident", [*broken, "--pain", "checkout_started", "--pain-strength", "0.5"]),
    ]


def _options(start: datetime, lasts: timedelta, *, customers: int, seed: int) -> list[str]:
    simulated = f"{round(lasts.total_seconds() * SPEED)}s"
    return [
        *("--start", start.isoformat(), "--duration", simulated, "--speed", str(SPEED)),
        *("--customers", str(customers), "--seed", str(seed)),
    ]
