"""Settings of the read API."""

from __future__ import annotations

import re
from functools import cached_property

from pydantic import Field, SecretStr, field_validator

from runtime.keys import Keys
from runtime.settings import ClickHouseSettings, FoldSettings, KindsSettings
from schemas.definition import Definition, load_definitions

_ENTRY = re.compile(r"(?P<name>[A-Za-z0-9_.-]{1,128})=(?P<key>[A-Za-z0-9_-]{8,128})")


def parse_keys(text: str) -> Keys[str]:
    """`crm=KEY,shop=KEY`: an entry per key, any number per reader. Raises ValueError."""
    readers: dict[str, str] = {}
    for number, entry in enumerate((part.strip() for part in text.split(",") if part.strip()), 1):
        match = _ENTRY.fullmatch(entry)
        if match is None:  # the entry holds a secret: say which, not what
            raise ValueError(f"entry {number} is not reader=key, with a key of 8 or more letters, digits, - and _")
        if match["key"] in readers:
            raise ValueError(f"entry {number} has the same key as an earlier one")
        readers[match["key"]] = match["name"]
    if not readers:
        raise ValueError("no read key; write for example crm=0f3c9a7e5d21")
    return Keys(readers)


class DashboardSettings(ClickHouseSettings, KindsSettings, FoldSettings):
    """What `python -m dashboard.app` reads from the environment."""

    listen: str = Field(
        "127.0.0.1", validation_alias="DESIRELINE_DASHBOARD_HOST", description="Address that it listens on."
    )
    port: int = Field(
        8090, ge=1, le=65535, validation_alias="DESIRELINE_DASHBOARD_PORT", description="Port that it listens on."
    )
    read_keys: SecretStr = Field(
        validation_alias="DESIRELINE_READ_KEYS",
        description="Who may look customers up: reader=key, by comma. A write key is none.",
    )
    read_rate: float = Field(
        500.0,
        gt=0,
        validation_alias="DESIRELINE_READ_RATE",
        description="Lookups a second that a reader may ask for; more get 429.",
    )

    @field_validator("read_keys")
    @classmethod
    def _can_be_parsed(cls, value: SecretStr) -> SecretStr:
        parse_keys(value.get_secret_value())
        return value

    @cached_property
    def readers(self) -> Keys[str]:
        """The readers by key."""
        return parse_keys(self.read_keys.get_secret_value())

    @cached_property
    def journeys(self) -> tuple[Definition, ...]:
        """What the file says. Raises DefinitionsError."""
        return load_definitions(self.definitions)
