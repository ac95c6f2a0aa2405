"""Journey definitions: the journeys that matter to a company, as data. Stages, patience, start and goal.

A rule maps channel, name and properties of a touchpoint to a stage. `Rules.of` evaluates all definitions for one touchpoint
once (the identity leg does it) and keeps the result with it as one small number per definition: the stage's rank in the
lower six bits (0: none), `STARTS` and `GOAL` above.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from fnmatch import translate
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

STAGE = 0b0011_1111
STARTS = 0b0100_0000
GOAL = 0b1000_0000
MAX_STAGES = 32
UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
DEFAULT_FILE = Path(__file__).parent / "journeys.yaml"


def milliseconds(text: object) -> object:
    """`30m`, `7d`, `1.5h` → ms; what is not of that form is left for the validation to refuse."""
    if isinstance(text, str) and (match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)", text.strip())):
        return round(float(match[1]) * UNITS[match[2]])
    return text


Duration = Annotated[int, BeforeValidator(milliseconds), Field(gt=0, description="For example 30m, 12h, 7d.")]


def _as_list(value: object) -> object:
    return value if value is None or isinstance(value, list | tuple) else [value]


Patterns = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))


class Rule(_Part):
    """Everything that it names must match; `*` stands for any characters."""

    channel: Patterns = ()
    name: Patterns = ()
    properties: dict[str, Patterns] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_something(self) -> Rule:
        if not (self.channel or self.name or self.properties):
            raise ValueError("a rule names at least one of channel, name, properties")
        return self

    @cached_property
    def _compiled(self) -> tuple[re.Pattern[str], re.Pattern[str], dict[str, re.Pattern[str]]]:
        def either(patterns: tuple[str, ...]) -> re.Pattern[str]:
            return re.compile("|".join(map(translate, patterns)) or ".*", re.DOTALL)

        return either(self.channel), either(self.name), {key: either(value) for key, value in self.properties.items()}

    def matches(self, channel: str, name: str, properties: Mapping[str, str]) -> bool:
        channels, names, wanted = self._compiled
        return bool(
            channels.match(channel)
            and names.match(name)
            and all(key in properties and pattern.match(properties[key]) for key, pattern in wanted.items())
        )


class Stage(_Part):
    """How far the customer has come; silence longer than `patience` after it is a drop-off."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    patience: Duration
    match: tuple[Rule, ...] = Field(min_length=1)


class Definition(_Part):
    """One journey that matters. Without `start` any touchpoint with a stage starts it; without `goal` it never completes."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
    version: int = Field(1, ge=1)
    stages: tuple[Stage, ...] = Field(min_length=1, max_length=MAX_STAGES)
    start: tuple[Rule, ...] | None = None
    goal: str | None = Field(None, description="Name of the stage that is the goal.")
    ends_after: Duration = 180 * UNITS["d"]

    @model_validator(mode="after")
    def _stages_fit(self) -> Definition:
        names = [stage.name for stage in self.stages]
        if len(set(names)) != len(names):
            raise ValueError(f"stages of {self.name!r} have the same name twice: {names}")
        if self.goal is not None and self.goal not in names:
            raise ValueError(f"goal {self.goal!r} of {self.name!r} is not one of its stages {names}")
        for stage in self.stages:
            if stage.patience > self.ends_after:
                raise ValueError(f"patience of stage {stage.name!r} is longer than ends_after of {self.name!r}")
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


class Definitions(_Part):
    """All definitions of a generation, in the order in which fold records keep their numbers."""

    definitions: tuple[Definition, ...] = Field(min_length=1, max_length=16)

    @model_validator(mode="after")
    def _names_differ(self) -> Definitions:
        names = [definition.name for definition in self.definitions]
        if len(set(names)) != len(names):
            raise ValueError(f"two definitions have the same name: {names}")
        return self


def _text(value: Any) -> str | None:
    """A property as rules see it: text as it is, numbers and truth as JSON writes them; the rest is nothing to a rule."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else None


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
                text = _text(properties.get(key))
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
    """A file of definitions that cannot be used: says which file, where in it, what is wrong."""


def load_definitions(file: Path = DEFAULT_FILE) -> tuple[Definition, ...]:
    """Read a `journeys.yaml`. Raises DefinitionsError."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        return Definitions.model_validate(content).definitions
    except OSError as error:
        raise DefinitionsError(f"{file}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise DefinitionsError(f"{file}: not YAML: {error}") from error
    except ValueError as error:  # pydantic's ValidationError is one
        raise DefinitionsError(f"{file}: {error}") from error
