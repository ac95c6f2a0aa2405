"""How `desireline definitions check` shows what rules match: a table per journey, then what is left over, then what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from cli import text
from cli.matching import Matched, Seen, idle, said, stages, starts, unmatched
from schemas.definition import Definition
from schemas.rule import Rule

if TYPE_CHECKING:
    from cli.definitions import Live

EXAMPLES = 3  # of what a rule matches
IDLE = 5  # of its patterns that match nothing
LISTED = 20  # kinds of touchpoints that no rule matches


def heading(definition: Definition) -> str:
    """What it is, in a line or two."""
    goal = f"goal {definition.goal}" if definition.goal else "no goal: it never completes"
    begins = "" if definition.start else "; starts with any touchpoint that has a stage"
    return (
        f"{definition.name}, version {definition.version}: {goal}; ends after {text.duration(definition.ends_after)} of "
        f"silence{begins}"
    )


def table(definition: Definition, seen: Sequence[Seen], as_of: int) -> Table:
    """A line for each stage, with what it gets, and below it one for each of its rules, with what that matches."""
    shown = Table(box=None, padding=(0, 2, 0, 0), show_header=True, header_style="dim")
    shown.add_column("touchpoints", justify="right", no_wrap=True)
    shown.add_column("last", no_wrap=True)
    shown.add_column("stage, and its rules")
    if definition.start:
        shown.add_row("", "", Text("starts with", style="bold"))
        for rule, matched in zip(definition.start, starts(definition, seen), strict=True):
            _add(shown, rule, matched, as_of)
    of_stage, of_rule = stages(definition, seen)
    for rank, stage in enumerate(definition.stages, 1):
        gets, name = of_stage[rank - 1], f"{rank} {stage.name}"
        patience = Text(f", patience {text.duration(stage.patience)}", style="dim")
        shown.add_row(f"{gets.touchpoints:,}", "", Text(name, style="bold") + patience)
        for rule, matched in zip(stage.match, of_rule[rank - 1], strict=True):
            _add(shown, rule, matched, as_of)
    return shown


def _add(shown: Table, rule: Rule, matched: Matched, as_of: int) -> None:
    cell = Text(f"  {said(rule)}: ", style="dim")
    if not matched.touchpoints:
        shown.add_row("", "", cell.append("matches nothing", style="yellow"))
        return
    shown_places = [f"{channel}·{name} {count:,}" for (channel, name), count in matched.places.most_common(EXAMPLES)]
    cell.append(_some(shown_places, len(matched.places)), style="not dim")
    if matched.elsewhere:
        cell.append(f"; {matched.elsewhere:,} of them an earlier stage has", style="not dim yellow")
    if never := idle(rule, matched):
        cell.append(f"; never: {_some(never[:IDLE], len(never))}")
    shown.add_row(f"{matched.touchpoints:,}", _ago(matched.last_at, as_of), cell)


def _some(shown: Sequence[str], of: int) -> str:
    """`a, b, and 3 others`."""
    more = of - len(shown)
    return ", ".join(shown) + (f", and {text.many(more, 'other')}" if more else "")


def _ago(at: int, as_of: int) -> str:
    return f"{text.duration(as_of - at, 1)} ago"


def summary(definitions: Sequence[Definition], seen: Sequence[Seen], since: str | None) -> Iterator[str]:
    """How much of the data is told of, and what no rule knows."""
    total = sum(one.touchpoints for one in seen)
    within = f" within {since}" if since else ""
    if not total:
        yield f"Nothing is stored{within} that rules could match."
        return
    rules = [
        matched
        for one in definitions
        for of_stage in (*stages(one, seen)[1], starts(one, seen))
        for matched in of_stage
    ]
    idle = sum(not matched.touchpoints for matched in rules)
    if idle:
        yield f"{idle} of {text.many(len(rules), 'rule')} match nothing{within}: not sent yet, or spelt otherwise."
    left = unmatched(definitions, seen)
    if not left.touchpoints:
        yield f"Every touchpoint that is stored{within} is matched by a rule."
        return
    share = text.percent(left.touchpoints, total)
    yield f"No rule matches {share} of the touchpoints{within}; they join a journey, and lead to no stage:"
    rows = [[f"  {count:,}", f"{channel}·{name}"] for (channel, name), count in left.places.most_common(LISTED)]
    yield from text.columns(rows, right=[0])
    if len(left.places) > LISTED:
        yield f"  and {text.many(len(left.places) - LISTED, 'other')}"


def compared(definitions: Sequence[Definition], live: Sequence[Live], file: Path) -> Iterator[str]:
    """Whether these are the journeys that are live, and what to do if not."""
    from sinks.stages import content

    if not live:
        yield "No journeys are live yet: workers and sink that start with this file begin with it."
        return
    known = {one.name: one for one in live}
    contents = content(definitions)
    differ = [one for one in definitions if one.name in known and known[one.name].content != contents[one.name]]
    said = [f"{one.name} differs" for one in differ]
    said += [f"{one.name} is new" for one in definitions if one.name not in known]
    said += [f"{name} is not in the file" for name in known if name not in contents]
    if not said:
        yield "These are the journeys that are live."
        return
    yield f"Not what is live: {', '.join(said)}."
    for one in differ:
        if one.version == known[one.name].version:
            yield f"Give {one.name} version {one.version + 1}, so that rows say which version they were computed with."
    yield "This change needs a new generation, built beside the live one, which nobody notices until you swap:"
    yield f"  DESIRELINE_DEFINITIONS={file} desireline replay start --from clickhouse"
    yield "and then `replay compare`, `replay swap` (docs/operations.md)."
