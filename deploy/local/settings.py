"""What the local stack reads from the environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from runtime.settings import ProcessSettings


class StackSettings(ProcessSettings):
    """Servers that are named here are used and not started; keys and a secret that are given here are used and not made
    up."""

    kafka_bootstrap: str | None = Field(
        None, validation_alias="KAFKA_BOOTSTRAP", description="Your own Kafka; without it the stack starts one."
    )
    clickhouse_url: str | None = Field(
        None, validation_alias="CLICKHOUSE_URL", description="Your own ClickHouse; without it the stack starts one."
    )
    write_keys: SecretStr | None = Field(
        None,
        validation_alias="DESIRELINE_WRITE_KEYS",
        description="Who may send touchpoints: source=key, by comma; without it each home makes up its own.",
    )
    read_keys: SecretStr | None = Field(
        None,
        validation_alias="DESIRELINE_READ_KEYS",
        description="Who may look customers up: reader=key, by comma; without it each home makes up its own.",
    )
    secret: SecretStr | None = Field(
        None,
        validation_alias="DESIRELINE_SECRET",
        min_length=1,
        max_length=64,
        description="Key of person ids; without it each home makes up its own.",
    )
    definitions: Path | None = Field(
        None,
        validation_alias="DESIRELINE_DEFINITIONS",
        description="File of the journeys; without it the eight stages.",
    )
    identity: Path | None = Field(
        None,
        validation_alias="DESIRELINE_IDENTITY",
        description="File of identity settings; without it the usual ones.",
    )
