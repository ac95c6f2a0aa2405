"""Settings of the worker: which journeys, which secret, which legs' limits."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from runtime.settings import KafkaSettings
from schemas.definition import DEFAULT_FILE
from schemas.identity import DEFAULT_FILE as IDENTITY_FILE


class WorkerSettings(KafkaSettings):
    """Read once when the worker starts."""

    definitions: Path = Field(
        DEFAULT_FILE,
        validation_alias="DESIRELINE_DEFINITIONS",
        description="File of journey definitions (YAML); the default is the eight-stage purchase journey.",
    )
    identity: Path = Field(
        IDENTITY_FILE,
        validation_alias="DESIRELINE_IDENTITY",
        description="File of identity settings (YAML): kinds of identifiers, look-back, guards.",
    )
    secret: SecretStr = Field(
        SecretStr("desireline"),
        validation_alias="DESIRELINE_SECRET",
        min_length=1,
        max_length=64,
        description="Key of the hash that makes person ids; must stay the same for the life of the data.",
    )
    max_touchpoints: int = Field(
        20_000,
        ge=1,
        validation_alias="DESIRELINE_MAX_TOUCHPOINTS",
        description="Touchpoints of one person above which they have no journeys.",
    )
    generation: int = Field(
        1,
        ge=1,
        le=65_535,
        validation_alias="DESIRELINE_GENERATION",
        description="Upper 16 bits of every row's version.",
    )
