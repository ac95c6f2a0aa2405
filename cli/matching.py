"""What the rules of journey definitions match among touchpoints that are stored. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import NamedTuple

from schemas.definition import STAGE, Definition
from schemas.rule import Rule, as_text


class Seen(NamedTuple):
    """Stored touchpoints that rules cannot tell apart."""

    channel: str
    name: str
    properties: Mapping[str, str]  # those that some rule reads
    touchpoints: int
    last_at: int  # ms UTC


@dataclass
class Matched:
    """Touchpoints of which something is true."""

    touchpoints: int = 0
    last_at: int = 0
    elsewhere: int = 0  # of them, an earlier stage has them
    places: Counter[tuple[str, str]] = field(default_factory=Counter)  # (channel, name) → touchpoints

    def add(self, seen: Seen, *, elsewhere: bool = False) -> None:
        self.touchpoints += seen.touchpoints
        self.last_at = max(self.last_at, seen.last_at)
        self.elsewhere += seen.touchpoints * elsewhere
        self.places[seen.channel, seen.name] += seen.touchpoints


def properties(keys: Sequence[str], raw: Sequence[str]) -> dict[str, str]:
    """Properties as rules see them, out of their JSON; those that are not there, or nothing to a rule, are left out."""
    found = {key: as_text(json.loads(value)) for key, value in zip(keys, raw, strict=True) if value}
    return {key: text for key, text in found.items() if text is not None}


def stages(definition: Definition, seen: Iterable[Seen]) -> tuple[list[Matched], list[list[Matched]]]:
    """Per stage the touchpoints that mean it, and per rule of each stage those that it matches."""
    of_stage = [Matched() for _ in definition.stages]
    of_rule = [[Matched() for _ in stage.match] for stage in definition.stages]
    for one in seen:
        rank = definition.number(one.channel, one.name, one.properties) & STAGE
        if rank:
            of_stage[rank - 1].add(one)
        for place, stage in enumerate(definition.stages):
            for rule, matched in zip(stage.match, of_rule[place], strict=True):
                if rule.matches(one.channel, one.name, one.properties):
                    matched.add(one, elsewhere=rank != place + 1)
    return of_stage, of_rule


def starts(definition: Definition, seen: Iterable[Seen]) -> list[Matched]:
    """Per rule of `start` what it matches."""
    found = [Matched() for _ in definition.start or ()]
    for one in seen:
        for rule, matched in zip(definition.start or (), found, strict=True):
            if rule.matches(one.channel, one.name, one.properties):
                matched.add(one)
    return found


def idle(rule: Rule, matched: Matched) -> list[str]:
    """Those of its patterns that match nothing of what the rule matches: often misspelt."""
    found = [name for name in rule.name if not any(fnmatchcase(place[1], name) for place in matched.places)]
    return found + [one for one in rule.channel if not any(fnmatchcase(place[0], one) for place in matched.places)]


def unmatched(definitions: Sequence[Definition], seen: Iterable[Seen]) -> Matched:
    """What no rule of any journey matches."""
    found = Matched()
    for one in seen:
        if not any(definition.number(one.channel, one.name, one.properties) for definition in definitions):
            found.add(one)
    return found


def said(rule: Rule) -> str:
    """A rule as one reads it: `channel web · cart*, checkout · property segment = family`."""
    return " · ".join(_parts(rule))


def _parts(rule: Rule) -> Iterator[str]:
    if rule.channel:
        yield f"channel {', '.join(rule.channel)}"
    if rule.name:
        yield ", ".join(rule.name)
    for key, values in rule.properties.items():
        yield f"property {key} = {' or '.join(values)}"
