"""The counts that a ranking is made of, out of ClickHouse."""

from __future__ import annotations

from sinks.pain.ranking import Answers, Cell, Counts, PainPoint, ranking
from sinks.queries import query
from sinks.reader import Reader

ALWAYS = 2**62


def pain_points(reader: Reader, definition: str, since: int, now: int) -> list[PainPoint]:
    """The touchpoints of journeys that started from `since` on, as things stand at `now` (ms UTC), the worst first.

    Raises the driver's errors.
    """
    return ranking(counts(reader, definition, since, now))


def counts(reader: Reader, definition: str, since: int, now: int) -> Counts:
    """Everything that a ranking is made of. Raises the driver's errors."""
    asked = {"definition": definition, "since": since, "now": now}
    cells = reader.ask(over_steps("pain_cells"), {**asked, "first": 0, "last": ALWAYS}).rows
    reached = reader.ask(query("pain_reach"), asked).rows
    journeys = {(channel, touchpoint): (stage, passed) for channel, touchpoint, stage, passed in reached}
    answers = reader.ask(query("pain_answers"), asked).rows
    ((completed, value),) = reader.ask(query("pain_money"), asked).rows
    return Counts([Cell(*row) for row in cells], [Answers(*row) for row in answers], journeys, completed, dict(value))


def over_steps(name: str) -> str:
    """The text of a query over the steps of journeys."""
    return query(name).replace("<steps>", query("pain_steps"))
