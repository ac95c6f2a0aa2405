"""Identifiers: their kinds, their normal form, a touchpoint's home and address, and the ids of people.

Strong kinds name a person; weak kinds are devices that belong to whoever used them at the time. The order of the kinds is
the order of trust. Normalisation runs once, at ingest, so that spelling does not split a person.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID


class Kind(NamedTuple):
    name: str
    strong: bool


@dataclass(frozen=True)
class Kinds:
    """The configured kinds in order of trust."""

    ordered: tuple[Kind, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(kind.name for kind in self.ordered)


DEFAULT_KINDS = Kinds(
    (
        Kind("customer_id", True),
        Kind("loyalty_id", True),
        Kind("email", True),
        Kind("anonymous_id", False),
        Kind("device_id", False),
        Kind("phone", False),
    )
)


def normalise(kind: str, value: str) -> str:
    """The one spelling of an identifier's value; empty if nothing is left of it."""
    value = unicodedata.normalize("NFC", value).strip()
    if kind == "email":
        return value.casefold()
    if kind == "phone":
        digits = "".join(c for c in value if c.isdigit())
        return ("+" if value.startswith(("+", "00")) else "") + (digits[2:] if value.startswith("00") else digits)
    return value


def home(identifiers: Mapping[str, str], kinds: Kinds = DEFAULT_KINDS) -> str:
    """`kind:value` of the first weak identifier, else of the first strong one: the actor that keeps the touchpoint."""
    strong = ""
    for name, is_strong in kinds.ordered:
        value = identifiers.get(name)
        if value is not None:
            if not is_strong:
                return f"{name}:{value}"
            strong = strong or f"{name}:{value}"
    return strong


def address(identifiers: Mapping[str, str], event_id: UUID | str, revision: int, kinds: Kinds = DEFAULT_KINDS) -> str:
    """The Kafka key: the home, or the event id if the touchpoint has revisions (for these may change its home)."""
    return f"event:{event_id}" if revision else home(identifiers, kinds)


def person_id(identifier: str, secret: bytes) -> UUID:
    """128-bit keyed hash of a person's smallest identifier, so that the id tells nothing about the identifier."""
    return UUID(bytes=blake2b(identifier.encode(), digest_size=16, key=secret, person=b"desireline").digest())


def in_order(identifiers: Iterable[tuple[str, str]], kinds: Kinds = DEFAULT_KINDS) -> dict[str, str]:
    """Identifiers in configured order of kind."""
    given = dict(identifiers)
    return {name: given[name] for name in kinds.names if name in given}
