"""Identifiers: their kinds, their normal form, a touchpoint's home and address, and the ids of people.

Strong kinds name a person; weak kinds are devices that belong to whoever used them at the time. The order of the kinds is
the order of trust. Normalisation runs once, at ingest, so that spelling does not split a person. What all of it comes to is
`schemas/resolve.py`.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, lru_cache
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Annotated
from uuid import UUID

import phonenumbers
import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.rule import Duration

DEFAULT_FILE = Path(__file__).parent / "identity.yaml"
_DAY = 86_400_000


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))


class Kind(_Part):
    """A kind of identifier. `look_back` (weak kinds, ms): how far a name on a device explains a touchpoint without one."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
    strong: bool = False
    look_back: Duration = 30 * _DAY


class Kinds(_Part):
    """Everything that is configured about identity: `identity.yaml`, whose comments explain each setting."""

    ordered: tuple[Kind, ...] = Field(alias="kinds", min_length=1, max_length=32)
    max_links: int = Field(20, ge=1, le=10_000)
    max_hops: int = Field(4, ge=0, le=100)
    shared_sources: frozenset[str] = frozenset()
    shared_look_back: Duration = 30 * 60_000
    blocked_values: frozenset[str] = frozenset()
    phone_region: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = None

    @model_validator(mode="after")
    def _names_differ(self) -> Kinds:
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"two kinds have the same name: {list(self.names)}")
        return self

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(kind.name for kind in self.ordered)

    @cached_property
    def strong(self) -> tuple[str, ...]:
        return tuple(kind.name for kind in self.ordered if kind.strong)

    @cached_property
    def weak(self) -> tuple[str, ...]:
        return tuple(kind.name for kind in self.ordered if not kind.strong)

    @cached_property
    def _trust(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}

    def rank(self, identifier: str) -> tuple[int, str]:
        """By this the identifiers of a person are ordered, best first; the smallest names the person."""
        return self._trust.get(identifier.partition(":")[0], len(self._trust)), identifier

    def look_back(self, device: str, *, shared: bool) -> int:
        """How far from a touchpoint on this device, in ms, a name on it explains the touchpoint; -1: never."""
        place = self._trust.get(device.partition(":")[0])
        if place is None or self.ordered[place].strong:
            return -1
        return self.shared_look_back if shared else self.ordered[place].look_back

    @cached_property
    def content_hash(self) -> bytes:
        """32 bytes that differ wherever two configurations could give a touchpoint to somebody else."""
        content = self.model_dump(mode="json", exclude={"blocked_values", "phone_region"})
        content["shared_sources"] = sorted(self.shared_sources)
        return sha256(json.dumps(content, sort_keys=True).encode()).digest()


class KindsError(ValueError):
    """A file that cannot be used: says which file, where in it, what is wrong."""


def load_kinds(file: Path = DEFAULT_FILE) -> Kinds:
    """Read an `identity.yaml`. Raises KindsError."""
    try:
        return Kinds.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise KindsError(f"{file}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise KindsError(f"{file}: not YAML: {error}") from error
    except ValueError as error:  # pydantic's ValidationError is one
        raise KindsError(f"{file}: {error}") from error


DEFAULT_KINDS = load_kinds()


def normalise(kind: str, value: str, kinds: Kinds = DEFAULT_KINDS) -> str:
    """The one spelling of an identifier's value; empty if nothing is left of it, or if it means nobody."""
    value = unicodedata.normalize("NFC", value).strip()
    if value.casefold() in kinds.blocked_values:
        return ""
    if kind == "email":
        return value.casefold()
    if kind == "phone":
        return _phone(value, kinds.phone_region)
    return value


@lru_cache(maxsize=1 << 16)  # parsing costs 50 µs
def _phone(value: str, region: str | None) -> str:
    """E.164 where the number says its country or a region is configured; else the digits as dialled."""
    if value.startswith("00"):
        value = "+" + value[2:]
    try:
        number = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        digits = "".join(c for c in value if c.isascii() and c.isdigit())
        return f"+{digits}" if digits and value.startswith("+") else digits
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def strong_in(identifiers: Mapping[str, str], kinds: Kinds = DEFAULT_KINDS) -> tuple[str, ...]:
    """The names that a touchpoint carries, as `kind:value`, the most trusted first."""
    return tuple([f"{name}:{identifiers[name]}" for name in kinds.strong if name in identifiers])


def weak_in(identifiers: Mapping[str, str], kinds: Kinds = DEFAULT_KINDS) -> tuple[str, ...]:
    """The devices that a touchpoint carries, as `kind:value`, in configured order."""
    return tuple([f"{name}:{identifiers[name]}" for name in kinds.weak if name in identifiers])


def home(identifiers: Mapping[str, str], kinds: Kinds = DEFAULT_KINDS) -> str:
    """`kind:value` of the first weak identifier, else of the first strong one: the actor that keeps the touchpoint."""
    for names in (kinds.weak, kinds.strong):
        for name in names:
            if name in identifiers:
                return f"{name}:{identifiers[name]}"
    return ""


def address(identifiers: Mapping[str, str], event_id: UUID | str, revision: int, kinds: Kinds = DEFAULT_KINDS) -> str:
    """The Kafka key: the home, or the event id if the touchpoint has revisions (for these may change its home)."""
    return f"event:{event_id}" if revision else home(identifiers, kinds)


def person_id(identifier: str, secret: bytes) -> UUID:
    """128-bit keyed hash of a person's smallest identifier, so that the id tells nothing about the identifier."""
    return UUID(bytes=hasher(secret)(identifier))


def hasher(secret: bytes) -> Callable[[str], bytes]:
    """`person_id` as 16 bytes, for very many identifiers: the key is taken in once."""
    keyed = blake2b(digest_size=16, key=secret, person=b"desireline").copy

    def hashed(identifier: str) -> bytes:
        hashing = keyed()
        hashing.update(identifier.encode())
        return hashing.digest()

    return hashed


def in_order(identifiers: Iterable[tuple[str, str]], kinds: Kinds = DEFAULT_KINDS) -> dict[str, str]:
    """Identifiers in configured order of kind."""
    given = dict(identifiers)
    return {name: given[name] for name in kinds.names if name in given}
