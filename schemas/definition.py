"""Journey definitions: the journeys that matter to a company, as data. Stages, patience, start and goal.

A rule maps channel, name and properties of a touchpoint to a stage. `Rules.of` evaluates all definitions for one touchpoint
once (the identity leg does it) and keeps the result with it as one small number per definition: the stage's rank in the
lower six bits (0: none), `STARTS` and `GOAL` above.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from schemas.located import Located
from schemas.mistakes import Found, not_yaml, several, told
from schemas.rule import UNITS, Duration, Part, Rule, as_list, as_text

STAGE = 0b0011_1111
STARTS = 0b0100_0000
GOAL = 0b1000_0000
MAX_STAGES = 32
DEFAULT_FILE = Path(__file__).parent / "journeys.yaml"


class Stage(Part):
    """How far the customer has come; silence longer than `patience` after it is a drop-off."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    patience: Duration
    match: Annotated[tuple[Rule, ...], BeforeValidator(as_list)] = Field(min_length=1)


class Definition(Part):
    """One journey that matters. Without `start` any touchpoint with a stage starts it; without `goal` it never completes."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
    version: int = Field(1, ge=1)
    stages: tuple[Stage, ...] = Field(min_length=1, max_length=MAX_STAGES)
    start: Annotated[tuple[Rule, ...] | None, BeforeValidator(as_list)] = None
    goal: str | None = Field(None, description="Name of the stage that is the goal.")
    ends_after: Duration = 180 * UNITS["d"]

    @model_validator(mode="after")
    def _stages_fit(self) -> Definition:
        names = [stage.name for stage in self.stages]
        wrong: Found = [
            (("stages", place, "name"), f"{name!r} is a stage already: stages have different names")
            for place, name in enumerate(names)
            if name in names[:place]
        ]
        wrong += [
            (("stages", place, "patience"), "is longer than ends_after: shorten it, or let the journey end later")
            for place, stage in enumerate(self.stages)
            if stage.patience > self.ends_after
        ]
        if self.goal is not None and self.goal not in names:
            wrong.append((("goal",), f"{self.goal!r} is not one of the stages: {', '.join(names)}"))
        if wrong:
            raise several(wrong)
        return self

    @cached_property
    def goal_rank(self) -> int:
        """Rank of the goal's stage, from 1; 0 without a goal."""
        return next((rank for rank, stage in enumerate(self.stages, 1) if stage.name == self.goal), 0)

    @cached_property
    def patience(self) -> tuple[int, ...]:
        """Patience in ms by rank; rank 0 is not a stage."""
        return (0, *(stage.patience for stage in self.stages))

    @cached_property
    def least_patience(self) -> int:
        """A silence that is no longer than this is no drop-off, in ms."""
        return min(self.ends_after, *self.patience[1:])

    @property
    def properties_read(self) -> set[str]:
        """The properties of a touchpoint that its rules look at."""
        rules = [rule for stage in self.stages for rule in stage.match] + list(self.start or ())
        return {key for rule in rules for key in rule.properties}

    def number(self, channel: str, name: str, properties: Mapping[str, str]) -> int:
        """What the touchpoint means to this journey: rank, STARTS, GOAL. Stages are tried in their order."""
        found = 0
        for rank, stage in enumerate(self.stages, 1):
            if any(rule.matches(channel, name, properties) for rule in stage.match):
                found = rank | (GOAL if rank == self.goal_rank else 0)
                break
        if self.start is None:
            return found | (STARTS if found else 0)
        return found | (STARTS if any(rule.matches(channel, name, properties) for rule in self.start) else 0)


class Definitions(Part):
    """All definitions of a generation, in the order in which fold records keep their numbers."""

    definitions: tuple[Definition, ...] = Field(min_length=1, max_length=16)

    @model_validator(mode="after")
    def _names_differ(self) -> Definitions:
        names = [definition.name for definition in self.definitions]
        wrong: Found = [
            (("definitions", place, "name"), f"{name!r} is a journey already: journeys have different names")
            for place, name in enumerate(names)
            if name in names[:place]
        ]
        if wrong:
            raise several(wrong)
        return self


class Rules:
    """Evaluates all definitions for a touchpoint; remembers the answer by what the rules read of it."""

    MAX_REMEMBERED = 50_000
    MAX_REMEMBERED_TEXT = 64  # characters of a property: longer ones hardly come again, and would fill the memory

    def __init__(self, definitions: Sequence[Definition]) -> None:
        self._definitions = tuple(definitions)
        self._reads = sorted({key for definition in definitions for key in definition.properties_read})
        self._known: dict[tuple[object, ...], list[int]] = {}

    def of(self, channel: str, name: str, properties: Mapping[str, Any]) -> list[int]:
        """One number per definition."""
        if not properties:
            plain = self._known.get((channel, name))
            if plain is not None:
                return plain
        read: dict[str, str] = {}
        short = True
        if properties:
            for key in self._reads:
                text = as_text(properties.get(key))
                if text is not None:
                    read[key] = text
                    short = short and len(text) <= self.MAX_REMEMBERED_TEXT
        remembered = (channel, name, *read.items())
        numbers = self._known.get(remembered)
        if numbers is None:
            numbers = [definition.number(channel, name, read) for definition in self._definitions]
            if short and len(self._known) < self.MAX_REMEMBERED:
                self._known[remembered] = numbers
        return numbers


def content_hash(definitions: Sequence[Definition]) -> bytes:
    """32 bytes that differ wherever two lists of definitions mean something else."""
    return sha256(json.dumps([one.model_dump(mode="json") for one in definitions], sort_keys=True).encode()).digest()


class DefinitionsError(ValueError):
    """A file of definitions that cannot be used. One line for each mistake: `file:line: key: what is wrong; what to do`."""


def load_definitions(file: Path = DEFAULT_FILE) -> tuple[Definition, ...]:
    """Read a `journeys.yaml`. Raises DefinitionsError, with every mistake that can be told at once."""
    try:
        located = Located(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DefinitionsError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DefinitionsError(f"{file}: is not UTF-8 from byte {error.start} on: save it as UTF-8") from error
    except yaml.YAMLError as error:
        raise DefinitionsError(f"{file}{not_yaml(error)}") from error
    wrong: list[ErrorDetails] = []
    try:
        found = Definitions.model_validate(located.content).definitions
    except ValidationError as error:
        wrong = error.errors()
    if lines := told(str(file), located, wrong):
        raise DefinitionsError("\n".join(lines))
    return found
