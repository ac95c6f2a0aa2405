"""The answer to what cannot be accepted, as a value."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeGuard

from schemas.dead_letter import Reason

NotKept = Literal["no_consent", "erased"]

# What is refused for one of these goes nowhere, not even to the dead letters: that would be to keep it.
NOT_KEPT: dict[NotKept, str] = {
    "no_consent": "the touchpoint says that its customer did not agree to analytics: counted, never kept",
    "erased": "its customer was erased after it occurred, or the touchpoint itself was: counted, never kept",
}


class Rejected(NamedTuple):
    """Why something is not accepted: `path` names the place in it, `message` says how to fix it."""

    reason: Reason | NotKept
    path: str
    message: str


def is_kept(reason: Reason | NotKept) -> TypeGuard[Reason]:
    """Do the dead letters keep what is refused for this reason?"""
    return reason not in NOT_KEPT
