"""Settings of the sink."""

from __future__ import annotations

from pydantic import Field

from runtime.settings import JourneysSettings


class SinkSettings(JourneysSettings):
    """How the sink batches, waits and refreshes."""

    group: str = Field(
        "sink", validation_alias="DESIRELINE_SINK_GROUP", description="Consumer group; one per database that is filled."
    )
    generation: int = Field(
        1,
        ge=1,
        le=65_535,
        validation_alias="DESIRELINE_GENERATION",
        description="The live generation: whose names of stages it writes, and whose latency it measures; it fills all.",
    )
    batch_rows: int = Field(
        10_000,
        ge=1,
        validation_alias="DESIRELINE_SINK_BATCH_ROWS",
        description="Rows after which a table's batch is written.",
    )
    batch_bytes: int = Field(
        32 << 20,
        ge=1,
        validation_alias="DESIRELINE_SINK_BATCH_BYTES",
        description="Bytes after which a table's batch is written.",
    )
    batch_seconds: float = Field(
        0.2,
        gt=0,
        validation_alias="DESIRELINE_SINK_BATCH_SECONDS",
        description="Seconds after which a batch is written, however small; plain touchpoints and the ledger wait up "
        "to a second where writes take long.",
    )
    retry_seconds: float = Field(
        5.0,
        gt=0,
        validation_alias="DESIRELINE_SINK_RETRY_SECONDS",
        description="Longest pause in seconds between two tries while ClickHouse is away.",
    )
    refresh_seconds: float = Field(
        5.0,
        ge=0,
        validation_alias="DESIRELINE_SINK_REFRESH_SECONDS",
        description="Seconds between refreshes of the last two days; of older days six times as long; 0: never.",
    )
    pain_seconds: float = Field(
        600.0,
        ge=0,
        validation_alias="DESIRELINE_SINK_PAIN_SECONDS",
        description="Seconds between computations of v_pain_points; longer where one takes long; 0: never.",
    )
