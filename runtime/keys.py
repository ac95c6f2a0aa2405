"""Keys that allow something: how a request carries one, and whose each is."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from hashlib import sha256
from typing import Generic, TypeVar

T = TypeVar("T")


class Keys(Generic[T]):
    """What each key stands for. Keys are held as hashes, so that a lookup's timing tells nothing about them."""

    def __init__(self, owners: Mapping[str, T]) -> None:
        self._owners = {self._hash(key): owner for key, owner in owners.items()}

    @staticmethod
    def _hash(key: str) -> bytes:
        return sha256(key.encode("utf-8", "surrogateescape")).digest()

    def owner(self, key: str) -> T | None:
        """Whose key it is; None if nobody's."""
        return self._owners.get(self._hash(key))

    @property
    def owners(self) -> list[T]:
        """One per key."""
        return list(self._owners.values())


def carried(authorization: str) -> str | None:
    """The key in an `Authorization` header: `Bearer KEY`, or Basic with the key as user; "" if it cannot be read, None without
    one of the two."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return None
