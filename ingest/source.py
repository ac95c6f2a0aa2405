"""Sources: who sends touchpoints, and how they are known by their write keys."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha1
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from runtime.keys import Keys

# Fixed for ever: stored event ids hang on it.
NAMESPACE = UUID("7e0b9c52-5a3c-5d0e-9a53-6f1d3c1f0a77")
_VARIANT = {digit: "89ab"[value & 3] for value, digit in enumerate("0123456789abcdef")}
_ENTRY = re.compile(r"(?P<name>[A-Za-z0-9_.-]{1,128})=(?P<key>[A-Za-z0-9_-]{8,128})(?:@(?P<zone>[A-Za-z0-9_+/-]+))?")


@dataclass(frozen=True)
class Source:
    """One source. `zone` is what its times mean that name no zone; without it such times are rejected."""

    name: str
    zone: ZoneInfo | None = None
    namespace: UUID = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "namespace", uuid5(NAMESPACE, self.name))

    def event_id(self, own: str) -> str:
        """The id under which an event of this source is stored: `str(uuid5(self.namespace, own))`, at a third of the cost."""
        h = sha1(self.namespace.bytes + own.encode(), usedforsecurity=False).hexdigest()
        return f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:32]}"


def zone_named(name: str) -> ZoneInfo:
    """The IANA zone; ValueError that says so when there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not an IANA time zone; write for example Europe/Madrid") from error


class WriteKeys(Keys[Source]):
    """The sources by write key."""

    def source(self, key: str) -> Source | None:
        """Whose key it is; None if nobody's."""
        return self.owner(key)

    def named(self, name: str) -> Source:
        """The source of this name; without a zone where nobody has a key for it, or its keys do not agree on one."""
        zones = {source.zone for source in self.owners if source.name == name}
        return Source(name, zones.pop() if len(zones) == 1 else None)

    @classmethod
    def parse(cls, text: str) -> WriteKeys:
        """`web=KEY,tills=KEY@Europe/Madrid`: one entry per key, any number per source. Raises ValueError."""
        sources: dict[str, Source] = {}
        for number, entry in enumerate((part.strip() for part in text.split(",") if part.strip()), 1):
            match = _ENTRY.fullmatch(entry)
            if match is None:  # the entry holds a secret: say which, not what
                raise ValueError(f"entry {number} is not source=key or source=key@Zone/City, with a key of 8 or more")
            if match["key"] in sources:
                raise ValueError(f"entry {number} has the same key as an earlier one")
            sources[match["key"]] = Source(match["name"], zone_named(match["zone"]) if match["zone"] else None)
        if not sources:
            raise ValueError("no write key; write for example web=0f3c9a7e5d21")
        return cls(sources)
