"""The answer to what cannot be accepted, as a value."""

from __future__ import annotations

from typing import Literal, NamedTuple

from schemas.dead_letter import Reason


class Rejected(NamedTuple):
    """Why something is not accepted: `path` names the place in it, `message` says how to fix it."""

    reason: Reason | Literal["no_consent"]
    path: str
    message: str
