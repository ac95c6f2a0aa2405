"""A rule of a journey definition: which touchpoints it matches, by channel, name and properties. And how times are written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import translate
from functools import cached_property
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}


def as_text(value: Any) -> str | None:
    """A property as rules see it: text as it is, numbers and truth as JSON writes them; the rest is nothing to a rule."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else None


def milliseconds(text: object) -> object:
    """`30m`, `7d`, `1.5h` → ms; what is not of that form is left for the validation to refuse."""
    if isinstance(text, str) and (match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)", text.strip())):
        return round(float(match[1]) * UNITS[match[2]])
    return text


def _duration(value: object) -> object:
    found = milliseconds(value)
    if found is value:  # a number alone would be milliseconds, which nobody means
        raise ValueError(f"{value!r} is not a time with its unit: write for example 30s, 30m, 12h, 7d or 2w")
    return found


Duration = Annotated[int, BeforeValidator(_duration), Field(gt=0, description="For example 30m, 12h, 7d.")]


def as_list(value: object) -> object:
    return value if value is None or isinstance(value, list | tuple) else [value]


def _as_rules_see_it(value: object) -> object:
    return [text if (text := as_text(one)) is not None else one for one in value] if isinstance(value, list) else value


Patterns = Annotated[tuple[str, ...], BeforeValidator(as_list)]
Values = Annotated[tuple[str, ...], BeforeValidator(_as_rules_see_it), BeforeValidator(as_list)]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))


class Rule(Part):
    """Everything that it names must match; `*` stands for any characters."""

    channel: Patterns = ()
    name: Patterns = ()
    properties: dict[str, Values] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_something(self) -> Rule:
        if not (self.channel or self.name or self.properties):
            raise ValueError("names nothing: a rule names at least one of channel, name, properties")
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
