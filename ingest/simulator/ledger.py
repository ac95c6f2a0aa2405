"""The ledger: what is true of the simulated customers, from what they did. It shares no code with `processors/`.

It is told every touchpoint as it really happened, in the order of time, and writes one line per journey when nothing can
change it any more, and a summary at the end. Memory: customers whose journey is under way. Times are ms, as written.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ingest.simulator.customers import Customer
from ingest.simulator.moments import Moment, Stage
from ingest.simulator.walk import Step
from schemas.codec import encode
from schemas.definition import Definition, load_definitions

Write = Callable[[bytes], object]


@dataclass(slots=True)
class Journey:
    """What one customer did between setting out and setting out again."""

    customer: Customer
    started_at: int
    stage: Stage
    place: str  # channel/name of the last touchpoint that has a stage
    last_at: int = 0
    bought_at: int = 0
    touchpoints: int = 0
    entered: dict[Stage, int] = field(default_factory=dict)  # → first time
    path: list[str] = field(default_factory=list)
    returns: list[dict[str, Any]] = field(default_factory=list)
    spent: int = 0
    answers: list[tuple[str, int | None, str]] = field(default_factory=list)


class Ledger:
    """Follows the eight-stage default: its patience and its silence, taken from the definition; its rules are not read."""

    def __init__(self, write: Write | None = None, definition: Definition | None = None) -> None:
        definition = definition or load_definitions()[0]
        self._patience = dict(zip(Stage, definition.patience[1:], strict=True))
        self._ends_after = definition.ends_after
        self._write_line = write
        self._under_way: dict[int, Journey] = {}
        self._silent: list[tuple[int, int, Journey]] = []  # of customers who are gone: (deadline, customer, journey)
        self._happened: Counter[str] = Counter()
        self._outside = 0
        self._passed: Counter[str] = Counter()
        self._left: Counter[str] = Counter()
        self._left_anyway: Counter[str] = Counter()
        self._answers: dict[tuple[str, str], Counter[int]] = {}
        self._funnel: dict[str, Counter[Stage]] = {
            key: Counter() for key in ("entered", "reached", "dropped_off", "still_open", "recovered")
        }
        self._journeys: Counter[str] = Counter()
        self._spent = 0
        self._customers = 0
        self.deliveries: Counter[str] = Counter()
        self._last_at = 0

    def happened(self, customer: Customer, at: int, step: Step) -> None:
        """One touchpoint, in the order of time."""
        moment = step.moment
        self._last_at = max(self._last_at, at)
        self._happened[f"{moment.channel}/{moment.name}"] += 1
        while self._silent and self._silent[0][0] < at:
            self._close(heapq.heappop(self._silent)[2], at)
        journey = self._under_way.get(customer.number)
        if journey is not None and self._sets_out_again(journey, moment, at):
            self._close(journey, at)
            journey = None
        if journey is None:
            if moment.stage is None:
                self._outside += 1
                self._under_way.pop(customer.number, None)
                return
            journey = Journey(customer, at, moment.stage, "")
            self._under_way[customer.number] = journey
        elif not journey.bought_at and at > (due := self._deadline(journey)):
            journey.returns.append(
                {"stage": journey.stage.name, "touchpoint": journey.place, "due_at": due, "back_at": at}
            )
        self._add(journey, at, step)

    def _sets_out_again(self, journey: Journey, moment: Moment, at: int) -> bool:
        if at - journey.last_at > self._ends_after:
            return True
        return bool(journey.bought_at) and moment.stage is not None and moment.stage <= Stage.purchase

    def _add(self, journey: Journey, at: int, step: Step) -> None:
        stage = step.moment.stage
        journey.last_at = at
        journey.touchpoints += 1
        if stage is not None:
            if not journey.path or stage is not journey.stage:
                journey.path.append(stage.name)
            journey.stage, journey.place = stage, f"{step.moment.channel}/{step.moment.name}"
            journey.entered.setdefault(stage, at)
            if stage is Stage.purchase:
                journey.bought_at = journey.bought_at or at
        journey.spent += step.amount
        if step.feedback is not None:
            answer = step.feedback
            about = f"{answer.about.moment.channel}/{answer.about.moment.name}"
            journey.answers.append((answer.kind, answer.score, about))
            scores = self._answers.setdefault((answer.kind, about), Counter())
            scores[-1 if answer.score is None else answer.score] += 1

    def _deadline(self, journey: Journey) -> int:
        return journey.last_at + self._patience[journey.stage]

    def decided(self, moment: Moment, left: bool, anyway: bool) -> None:
        """After a touchpoint someone went on or left; `anyway`: would have left without the pain too."""
        place = f"{moment.channel}/{moment.name}"
        self._passed[place] += 1
        self._left[place] += left
        self._left_anyway[place] += anyway

    def gone(self, customer: Customer) -> None:
        """This customer sends nothing more."""
        self._customers += 1
        journey = self._under_way.pop(customer.number, None)
        if journey is None:
            return
        if journey.bought_at:
            self._close(journey, journey.last_at)
        else:
            heapq.heappush(self._silent, (self._deadline(journey), customer.number, journey))

    def finish(self, as_of: int) -> dict[str, Any]:
        """Write what is left, and the summary as things stand at `as_of`, which is not before the last touchpoint."""
        as_of = max(as_of, self._last_at)
        rest = [*self._under_way.values(), *(journey for _, _, journey in self._silent)]
        for journey in sorted(rest, key=lambda journey: journey.customer.number):
            self._close(journey, as_of)
        self._under_way.clear()
        self._silent.clear()
        summary = self._summary(as_of)
        self._write({"record": "summary", **summary})
        return summary

    def _write(self, line: dict[str, Any]) -> None:
        if self._write_line is not None:
            self._write_line(encode(line) + b"\n")

    def _close(self, journey: Journey, as_of: int) -> None:
        """Count the journey and write its line. `due_at`: when its silence becomes, or became, a drop-off."""
        due = 0 if journey.bought_at else self._deadline(journey)
        overdue = 0 < due < as_of
        status = (
            "completed"
            if journey.bought_at
            else "dropped_off"
            if overdue
            else "recovered"
            if journey.returns
            else "open"
        )
        self._journeys[status] += 1
        furthest = max(journey.entered)
        for stage in Stage:
            self._funnel["entered"][stage] += stage in journey.entered
            self._funnel["reached"][stage] += stage <= furthest
        if due:
            self._funnel["dropped_off" if overdue else "still_open"][journey.stage] += 1
        for back in journey.returns:
            self._funnel["recovered"][Stage[back["stage"]]] += 1
        self._spent += journey.spent
        customer = journey.customer
        line = {
            "record": "journey",
            "customer": customer.number,
            "identifier": customer.best_known(),
            "persona": customer.persona.name,
            "status": status,
            "started_at": journey.started_at,
            "last_at": journey.last_at,
            "completed_at": journey.bought_at,
            "due_at": due,
            "touchpoints": journey.touchpoints,
            "path": journey.path,
            "entered": {stage.name: at for stage, at in journey.entered.items()},
            "furthest": furthest.name,
            "last": {"stage": journey.stage.name, "touchpoint": journey.place},
            "recovered": journey.returns,
            "value": {"MXN": journey.spent} if journey.spent else {},
            "feedback": [{"kind": kind, "score": score, "about": about} for kind, score, about in journey.answers],
        }
        self._write(line)

    def _summary(self, as_of: int) -> dict[str, Any]:
        return {
            "as_of": as_of,
            "customers": self._customers,
            "journeys": dict(sorted(self._journeys.items())),
            "touchpoints": self._happened.total(),
            "outside": self._outside,
            "by_touchpoint": dict(sorted(self._happened.items())),
            "deliveries": dict(sorted(self.deliveries.items())),
            "funnel": [
                {"stage": stage.name} | {key: counts[stage] for key, counts in self._funnel.items()} for stage in Stage
            ],
            "value": {"MXN": self._spent},
            "decisions": {
                place: {"passed": passed, "left": self._left[place], "left_anyway": self._left_anyway[place]}
                for place, passed in sorted(self._passed.items())
            },
            "feedback": [
                {
                    "kind": kind,
                    "about": about,
                    "answers": scores.total(),
                    "sum": sum(score * count for score, count in scores.items() if score >= 0),
                    "scores": {str(score): count for score, count in sorted(scores.items()) if score >= 0},
                }
                for (kind, about), scores in sorted(self._answers.items())
            ],
        }
