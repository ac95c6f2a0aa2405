"""How every process reaches Kafka and ClickHouse: read from the environment once, in `__main__`, and passed down.

Nobody else reads the environment. Each process adds its own settings in its own folder's `settings.py`, on this base.
"""

from __future__ import annotations

import ssl
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.definition import DEFAULT_FILE as JOURNEYS_FILE
from schemas.identity import DEFAULT_FILE as IDENTITY_FILE
from schemas.identity import Kinds, load_kinds

PUBLIC_SECRET = "desireline"  # for trying things out: everybody can read it here  # noqa: S105


class ProcessSettings(BaseSettings):
    """Base of every process's settings: frozen, environment only, unknown names ignored."""

    # With populate_by_name the environment is also asked for a field's own name; the prefix keeps `home`, `port` or `url`
    # from being read from HOME, PORT or URL.
    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True, env_prefix="DESIRELINE_")

    home: Path = Field(
        Path(".desireline"),
        validation_alias="DESIRELINE_HOME",
        description="Folder of the local stack's data and logs.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", validation_alias="DESIRELINE_LOG_LEVEL", description="Least severe log line that is written."
    )
    metrics_port: int = Field(
        0,
        ge=0,
        le=65535,
        validation_alias="DESIRELINE_METRICS_PORT",
        description="Port of /metrics, /healthz and /readyz of a process without an HTTP interface of its own; 0: none.",
    )
    metrics_host: str = Field(
        "127.0.0.1",
        validation_alias="DESIRELINE_METRICS_HOST",
        description="Address on which that port listens. In a container 0.0.0.0, so that Prometheus reaches it.",
    )


class KafkaSettings(ProcessSettings):
    """The Kafka cluster, in the client's terms; security settings are passed through to the clients as they are."""

    bootstrap: str = Field(
        "127.0.0.1:9092", validation_alias="KAFKA_BOOTSTRAP", description="host:port of one or more brokers, by comma."
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", validation_alias="KAFKA_SECURITY_PROTOCOL", description="How clients talk to the brokers."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", validation_alias="KAFKA_SASL_MECHANISM", description="SASL mechanism, where SASL is used."
    )
    sasl_username: str | None = Field(None, validation_alias="KAFKA_SASL_USERNAME", description="SASL user.")
    sasl_password: SecretStr | None = Field(None, validation_alias="KAFKA_SASL_PASSWORD", description="SASL password.")
    ssl_cafile: Path | None = Field(
        None, validation_alias="KAFKA_SSL_CAFILE", description="PEM file of the brokers' CA."
    )
    ssl_certfile: Path | None = Field(
        None, validation_alias="KAFKA_SSL_CERTFILE", description="PEM file of the client's certificate."
    )
    ssl_keyfile: Path | None = Field(
        None, validation_alias="KAFKA_SSL_KEYFILE", description="PEM file of the client's key."
    )
    replication: int = Field(
        1,
        ge=1,
        le=7,
        validation_alias="KAFKA_REPLICATION",
        description="Replicas of each topic that desireline creates.",
    )

    @field_validator("bootstrap")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        for server in value.split(","):
            host, colon, port = server.strip().rpartition(":")
            if not (host and colon and port.isdigit()):
                raise ValueError(f"{server!r} is not host:port; write for example KAFKA_BOOTSTRAP=127.0.0.1:9092")
        return value

    def client(self) -> dict[str, Any]:
        """Keyword arguments that kafka-python's and aiokafka's clients both take."""
        given: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap.split(","),
            "security_protocol": self.security_protocol,
        }
        if self.security_protocol.startswith("SASL"):
            given |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password.get_secret_value() if self.sasl_password else None,
            }
        if self.security_protocol.endswith("SSL"):
            context = ssl.create_default_context(cafile=str(self.ssl_cafile) if self.ssl_cafile else None)
            if self.ssl_certfile:
                context.load_cert_chain(self.ssl_certfile, self.ssl_keyfile)
            given["ssl_context"] = context
        return given


class KindsSettings(ProcessSettings):
    """Of whoever is given identifiers: all must spell them alike."""

    identity: Path = Field(
        IDENTITY_FILE,
        validation_alias="DESIRELINE_IDENTITY",
        description="File of identity settings (YAML): kinds of identifiers, look-back, guards. "
        "The same for all processes.",
    )

    @cached_property
    def kinds(self) -> Kinds:
        """What the file says. Raises KindsError."""
        return load_kinds(self.identity)


class JourneysSettings(ProcessSettings):
    """Of whoever tells of journeys."""

    definitions: Path = Field(
        JOURNEYS_FILE,
        validation_alias="DESIRELINE_DEFINITIONS",
        description="File of journey definitions (YAML); the default is the eight-stage purchase journey. The same for all "
        "processes.",
    )


class FoldSettings(JourneysSettings):
    """Of whoever folds journeys: all must come to the same ones."""

    max_touchpoints: int = Field(
        20_000,
        ge=1,
        validation_alias="DESIRELINE_MAX_TOUCHPOINTS",
        description="Touchpoints of one person above which they have no journeys.",
    )


class IdentitySettings(KafkaSettings, KindsSettings):
    """Of whoever writes touchpoints, or reads whose they are: all must know the same identifiers by the same hashes."""

    secret: SecretStr = Field(
        SecretStr(PUBLIC_SECRET),
        validation_alias="DESIRELINE_SECRET",
        min_length=1,
        max_length=64,
        description="Key of the hash that makes person ids, and by which erased names are known; must stay the same for the "
        "life of the data. The same for collectors, imports and workers.",
    )


class ClickHouseSettings(ProcessSettings):
    """The ClickHouse server: one URL, `http(s)://user:password@host:port/database`, and the native port beside it."""

    url: str = Field(
        "http://default@127.0.0.1:8123/desireline",
        validation_alias="CLICKHOUSE_URL",
        description="HTTP address of ClickHouse with user, password and database.",
    )
    native_port: int = Field(
        9000,
        ge=1,
        le=65535,
        validation_alias="CLICKHOUSE_NATIVE_PORT",
        description="Port of the native protocol there.",
    )

    @field_validator("url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("CLICKHOUSE_URL must look like http://user:password@host:8123/desireline")
        return value

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def http_port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or (8443 if parts.scheme == "https" else 8123)

    @property
    def secure(self) -> bool:
        return urlsplit(self.url).scheme == "https"

    @property
    def user(self) -> str:
        return unquote(urlsplit(self.url).username or "default")

    @property
    def password(self) -> str:
        return unquote(urlsplit(self.url).password or "")

    @property
    def database(self) -> str:
        return urlsplit(self.url).path.strip("/") or "desireline"
