"""Settings of the collector, and of who sends again what it refused."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from ingest.source import WriteKeys
from runtime.settings import IdentitySettings


class CollectorSettings(IdentitySettings):
    """What `python -m ingest.collector` reads from the environment."""

    host: str = Field(
        "127.0.0.1", validation_alias="DESIRELINE_COLLECTOR_HOST", description="Address that it listens on."
    )
    port: int = Field(
        8080, ge=1, le=65535, validation_alias="DESIRELINE_COLLECTOR_PORT", description="Port that it listens on."
    )
    write_keys: SecretStr = Field(
        validation_alias="DESIRELINE_WRITE_KEYS",
        description="Who may write: source=key, or source=key@Zone/City for a source whose times name no zone; by comma.",
    )
    origins: Annotated[tuple[str, ...], NoDecode] = Field(
        ("*",),
        validation_alias="DESIRELINE_COLLECTOR_ORIGINS",
        description="Origins whose pages may post (CORS), by comma; * is all. Cookies are never used.",
    )
    max_body_bytes: int = Field(
        8 << 20,
        ge=1024,
        validation_alias="DESIRELINE_COLLECTOR_MAX_BODY_BYTES",
        description="Bytes of one request, compressed or not; more is 413.",
    )
    max_items: int = Field(
        5000,
        ge=1,
        validation_alias="DESIRELINE_COLLECTOR_MAX_ITEMS",
        description="Touchpoints of one request; more is 413.",
    )
    max_waiting_bytes: int = Field(
        64 << 20,
        ge=1024,
        validation_alias="DESIRELINE_COLLECTOR_MAX_WAITING_BYTES",
        description="Bytes that may wait for the broker's acknowledgement; above, requests get 429.",
    )
    ack_timeout: float = Field(
        10.0,
        gt=0,
        validation_alias="DESIRELINE_COLLECTOR_ACK_TIMEOUT",
        description="Seconds that a request waits for the broker's acknowledgement; then 503.",
    )
    linger: float = Field(
        0.005,
        ge=0,
        le=1,
        validation_alias="DESIRELINE_COLLECTOR_LINGER",
        description="Seconds in which touchpoints gather into one batch.",
    )

    @field_validator("write_keys")
    @classmethod
    def _can_be_parsed(cls, value: SecretStr) -> SecretStr:
        WriteKeys.parse(value.get_secret_value())
        return value

    @field_validator("origins", mode="before")
    @classmethod
    def _by_comma(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @cached_property
    def sources(self) -> WriteKeys:
        """The sources by write key."""
        return WriteKeys.parse(self.write_keys.get_secret_value())


class ReplaySettings(IdentitySettings):
    """What a replay of dead letters reads from the environment: the sources' zones and the kinds of identifiers, as of now."""

    write_keys: SecretStr | None = Field(
        None,
        validation_alias="DESIRELINE_WRITE_KEYS",
        description="As the collector has them; without them no source has a zone.",
    )

    @field_validator("write_keys")
    @classmethod
    def _can_be_parsed(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value().strip():
            return None
        WriteKeys.parse(value.get_secret_value())
        return value

    @cached_property
    def sources(self) -> WriteKeys:
        """The sources by name; none of them if no write keys are given."""
        return WriteKeys({}) if self.write_keys is None else WriteKeys.parse(self.write_keys.get_secret_value())
