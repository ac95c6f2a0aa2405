"""What a customer is in the middle of: open journeys, the next deadline, what they did and said last. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from people.life import Life, Told, Touchpoint
from schemas.definition import STAGE, Definition

MOST_FEEDBACK = 10


@dataclass(frozen=True)
class Now:
    """A life as it stands at `as_of` (ms UTC); of what was done and said the newest first, at most so many."""

    life: Life
    definitions: Sequence[Definition]
    as_of: int
    most: int

    @property
    def open(self) -> list[Told]:
        """The journeys that have neither reached their goal nor ended with silence, by their start. One that has dropped off
        is among them: the customer may come back to it."""
        return [
            told
            for told in self.life.journeys
            if told.journey.status != "completed" and self.as_of - told.journey.last_at <= told.definition.ends_after
        ]

    @property
    def next_deadline(self) -> Told | None:
        """The open journey that drops off first unless something comes; None if none will."""
        waiting = [told for told in self.open if told.journey.status != "dropped_off"]
        return min(waiting, key=lambda told: told.journey.due_at, default=None)

    @property
    def last(self) -> list[Touchpoint]:
        """The last touchpoints."""
        return list(self.life.touchpoints[::-1][: self.most])

    @property
    def feedback(self) -> list[Touchpoint]:
        """The last touchpoints with feedback."""
        return [one for one in reversed(self.life.touchpoints) if one.feedback][:MOST_FEEDBACK]

    def stages(self, touchpoint: Touchpoint) -> dict[str, str]:
        """Definition → stage that the touchpoint means to it, where it means one."""
        ranks = {
            one.name: (one, number & STAGE) for one, number in zip(self.definitions, touchpoint.numbers, strict=True)
        }
        return {name: one.stages[rank - 1].name for name, (one, rank) in ranks.items() if rank}
