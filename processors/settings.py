"""Settings of the worker: which journeys, which legs' limits."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from processors.deadlines import OUTAGE_GRACE
from processors.horizon import HORIZON
from runtime.settings import IdentitySettings
from schemas.definition import DEFAULT_FILE
from schemas.rule import UNITS


class WorkerSettings(IdentitySettings):
    """Read once when the worker starts."""

    definitions: Path = Field(
        DEFAULT_FILE,
        validation_alias="DESIRELINE_DEFINITIONS",
        description="File of journey definitions (YAML); the default is the eight-stage purchase journey.",
    )
    max_touchpoints: int = Field(
        20_000,
        ge=1,
        validation_alias="DESIRELINE_MAX_TOUCHPOINTS",
        description="Touchpoints of one person above which they have no journeys.",
    )
    outage_grace: float = Field(
        OUTAGE_GRACE / 1_000,
        ge=0,
        validation_alias="DESIRELINE_OUTAGE_GRACE",
        description="Seconds that drop-offs wait after more than 10 s of outage, so that clients can deliver what they kept.",
    )
    horizon: float = Field(
        HORIZON / UNITS["d"],
        gt=0,
        validation_alias="DESIRELINE_HORIZON",
        description="Days after a person's last touchpoint arrived until their journeys leave the state; what occurred before "
        "and comes later waits for a replay. At least the longest `ends_after`.",
    )
    generation: int = Field(
        1,
        ge=1,
        le=65_535,
        validation_alias="DESIRELINE_GENERATION",
        description="Which building of people and journeys this process belongs to; `desireline replay` makes the next.",
    )
