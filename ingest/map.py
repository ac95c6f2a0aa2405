"""Maps: which column of a file becomes what of a touchpoint, as YAML. See `examples/maps/`.

A value comes from a column (`name: activity`), is the same for all rows (`channel: {value: store}`), or is looked up by
pattern (`channel: {column: activity, match: {"W_*": call_center, "*": web}}`; the first pattern that fits counts).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ingest.source import zone_named
from schemas.identity import DEFAULT_KINDS, Kinds
from schemas.touchpoint import Context, Label

ISO, SECONDS, MILLISECONDS = "iso", "unix_seconds", "unix_milliseconds"


class MapError(ValueError):
    """A map that cannot be used: says which file, where in it, what is wrong and how to fix it."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


def _column_alone(value: object) -> object:
    return {"column": value} if isinstance(value, str) else value


def _zone(value: object) -> object:
    return zone_named(value) if isinstance(value, str) else value


Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]


class Cell(_Part):
    """Where one value comes from. An empty cell of a CSV file is no value."""

    column: str | None = Field(None, description="Column; of JSON lines a key, or keys by dot.")
    value: str | int | float | bool | None = Field(None, description="The same for every row.")
    match: dict[str, str] | None = Field(None, description="Pattern of the column's text → value; * is anything.")
    type: Literal["text", "number", "boolean"] | None = Field(None, description="What to read the text as.")

    @model_validator(mode="after")
    def _comes_from_one_place(self) -> Cell:
        if (self.column is None) == (self.value is None):
            raise ValueError("give either column or value")
        if self.match is not None and self.column is None:
            raise ValueError("match needs a column")
        return self


AnyCell = Annotated[Cell, BeforeValidator(_column_alone)]


class Time(_Part):
    """When it happened."""

    column: str
    format: str = Field(ISO, description="iso, unix_seconds, unix_milliseconds, or a pattern such as %d/%m/%Y %H:%M.")
    zone: Zone | None = Field(None, description="IANA zone of times that name none; else the map's.")


class Money(_Part):
    """Money. Amounts are in major units (12.50) unless `minor`."""

    amount: AnyCell
    currency: AnyCell
    minor: bool = False
    decimals: int = Field(2, ge=0, le=4, description="Digits after the point of the currency's minor unit.")


class Said(_Part):
    """Feedback."""

    kind: AnyCell
    score: AnyCell | None = None
    sentiment: AnyCell | None = None
    text: AnyCell | None = None
    about: AnyCell | None = None


def _by_name(value: object) -> object:
    return {name: name for name in value} if isinstance(value, list) else value


class Map(_Part):
    """One map: what each part of a touchpoint is made of. Parts that are left out stay empty."""

    source: Label = Field(description="Name of the source; part of every event id.")
    format: Literal["csv", "jsonl"] | None = Field(None, description="Else by the file's name.")
    delimiter: str = Field(",", min_length=1, max_length=1, description="Between the cells of CSV.")
    zone: Zone | None = Field(None, description="IANA zone of times that name none.")
    where: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Column → patterns; rows that match none of them are left out."
    )
    identifiers: dict[str, AnyCell] = Field(
        min_length=1, description="Kind → column; rows of equal values are counted."
    )
    channel: AnyCell = Field(description="Where it happened.")
    name: AnyCell = Field(description="What happened.")
    occurred_at: Annotated[Time, BeforeValidator(_column_alone)] | None = Field(
        None, description="When it happened; without it, when it is imported."
    )
    event_id: tuple[str, ...] = Field((), description="Columns that name the event; else the row's place in the file.")
    sequence: str | None = Field(None, description="Column that counts; else the file's order within a customer.")
    revision: str | None = Field(None, description="Column with the revision, where the source corrects itself.")
    context: dict[str, AnyCell] = Field(default_factory=dict, description="page, store, agent, … → column.")
    value: Money | None = Field(None, description="Money: amount and currency.")
    feedback: Said | None = Field(None, description="Feedback; rows without score and text have none.")
    consent: AnyCell | None = Field(None, description="Column that says whether the customer agreed to analytics.")
    properties: Annotated[dict[str, AnyCell], BeforeValidator(_by_name)] = Field(
        default_factory=dict, description="Property → column, or a list of columns that keep their names."
    )

    @model_validator(mode="after")
    def _names_what_exists(self) -> Map:
        for part in self.context:
            if part not in Context.model_fields:
                raise ValueError(f"context.{part} does not exist: use {', '.join(Context.model_fields)}, or properties")
        if self.sequence is not None and not self.event_id:
            raise ValueError("with a sequence of its own the map must say which columns are the event_id")
        return self


def load_map(file: Path, kinds: Kinds = DEFAULT_KINDS) -> Map:
    """Read a map. Raises MapError."""
    try:
        content: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise MapError(f"{file}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise MapError(f"{file}: not YAML: {error}") from error
    if not isinstance(content, dict):
        raise MapError(f"{file}: must be keys and values, such as `source: till`")
    try:
        rules = Map.model_validate(content)
    except ValidationError as error:
        problems = [f"{_place(part['loc'])}{part['msg'].removeprefix('Value error, ')}" for part in error.errors()]
        raise MapError("\n".join(f"{file}: {problem}" for problem in problems)) from error
    for kind in rules.identifiers:
        if kind not in kinds.names:
            raise MapError(f"{file}: identifiers.{kind} is not a configured kind: use {', '.join(kinds.names)}")
    return rules


def _place(location: tuple[int | str, ...]) -> str:
    return f"{'.'.join(map(str, location))}: " if location else ""
