"""How a journey felt: feedback of any kind on one scale, and the peak-end score. Pure.

People remember an experience by its most intense moment and by its end (Kahneman et al., 1993), not by its average. The score
is ours: other tools have none under this name.
"""

from __future__ import annotations

from collections.abc import Sequence

_MIDDLE_AND_REACH = {"nps": (5, 5), "csat": (3, 2), "ces": (4, 3), "stars": (3, 2)}
_OF_SENTIMENT = {"negative": -1.0, "neutral": 0.0, "positive": 1.0}


def intensity(kind: str, score: int, sentiment: str) -> float | None:
    """One piece of feedback on -1 … +1; None where it says nothing (a text without sentiment)."""
    if kind in _MIDDLE_AND_REACH:
        middle, reach = _MIDDLE_AND_REACH[kind]
        return (score - middle) / reach
    return _OF_SENTIMENT.get(sentiment)


def peak_end(felt: Sequence[float]) -> float | None:
    """Mean of the most intense (the later one of equals) and the last, in the order of time; None without feedback."""
    if not felt:
        return None
    peak = max(reversed(felt), key=abs)
    return (peak + felt[-1]) / 2
