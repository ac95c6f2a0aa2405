"""Settings of the worker: which journeys, which legs' limits."""

from __future__ import annotations

from pydantic import Field

from processors.deadlines import OUTAGE_GRACE
from processors.horizon import HORIZON
from runtime.settings import FoldSettings, IdentitySettings
from schemas.rule import UNITS


class WorkerSettings(IdentitySettings, FoldSettings):
    """Read once when the worker starts."""

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
