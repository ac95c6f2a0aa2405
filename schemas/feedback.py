"""What feedback is about where its source does not say it, and whom it asks us to call back or to thank. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

Wanted = Literal["call_back", "thank"]


def about(step: int, path_stage: Sequence[int], feedback_steps: Collection[int]) -> int | None:
    """The step that the feedback of a journey's `step` is about; None: itself, there is no other.

    The last one before it that has a stage, another one than its own, and carries no feedback. So a survey is about the visit
    and not about the points that were earned for it, and a complaint about what happened and not about the call's beginning.
    """
    own = path_stage[step]
    before = (one for one in range(step - 1, -1, -1) if path_stage[one] not in (0, own) and one not in feedback_steps)
    return next(before, None)


def wanted(kind: str, score: int) -> Wanted | None:
    """Detractors (NPS 0–6) are to be called back, promoters (9–10) to be thanked; nobody else."""
    if kind != "nps" or score in (7, 8) or score < 0:
        return None
    return "thank" if score >= 9 else "call_back"
