"""An erasure from the order to the receipt.

    find ─► order ─► wait for the line ─► find what is left ─► delete it ─┐
                            ▲              │ nothing: wait for figures,   │
                            └──────────────┼──── old parts, receipt ◄─────┘ at most 5 times

Killed anywhere, the same erasure again ends in the same state: everything is found anew, and said and deleted again.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from runtime import generations
from runtime.settings import KafkaSettings
from sinks.erasing import find, order, receipts, remove, until, who
from sinks.erasing.find import Facts
from sinks.erasing.order import Order
from sinks.erasing.remove import NotRemoved
from sinks.erasing.who import Identifiers, People
from sinks.generations import live, server_time, unrefreshed
from sinks.reader import Reader
from sinks.verify import cut

ROUNDS = 5
LINE_SECONDS = 60.0
FIGURES_SECONDS = 180.0
PARTS_SECONDS = 300.0
PAUSE_SECONDS = 0.5
Tell = Callable[[str], None]


class Behind(RuntimeError):
    """The line is not through, so it cannot be known what is stored: says with what it is behind."""


@dataclass
class Erasure:
    """What erasing needs. `client` writes to ClickHouse, `clock` is in ms UTC, `tell` says what is being done."""

    reader: Reader
    client: Any
    kafka: KafkaSettings
    sink_group: str
    identifiers: Identifiers
    clock: Callable[[], int]
    tell: Tell
    ordered: set[UUID] = field(default_factory=set)  # events, by this erasure and by those before
    records: int = 0
    generations: Iterable[int] = (1,)

    def run(self, people: People, because: str, by: str) -> str:
        """Erase everything that these people have done up to now; the erasure's id, or "" if nothing is stored of them.

        Raises Behind, NotRemoved, NotErasable, KafkaError, and the driver's errors.
        """
        for broken_off in remove.unfinished(self.client):
            remove.delete(self.client, broken_off, self.tell)
        self.generations = generations.existing(self.kafka)
        kept = until.kept(self.kafka, self.generations)
        self.ordered = asyncio.run(order.given(self.kafka))
        said = Order(uuid4().hex, self.clock(), by, because)
        removed: dict[UUID, Counter[str]] = {}
        for number in range(ROUNDS):
            self._wait()
            people = who.with_names(self.reader, people.names, self.identifiers)
            facts = find.facts(self.reader, people, self.identifiers, said.at, self.ordered)
            if number == 0 and not self._is_anything(people, facts, said.at):
                return ""
            if number == 0 or facts.events.keys() - self.ordered:
                removed = removed or {person: Counter() for person in people.names}
                self._receipt(said, removed, kept)
                self._order(said, people, facts)
                self._wait()
            rows = find.all_rows(self.reader, people, self.identifiers, facts, said.at)
            if not remove.note(self.client, said.erasure_id, rows):
                break
            for person, counted in remove.counts(self.client, said.erasure_id).items():
                removed.setdefault(person, Counter()).update(counted)
            self._receipt(said, removed, kept)
            remove.delete(self.client, said.erasure_id, self.tell)
        else:
            raise NotRemoved(f"after {ROUNDS} rounds there is still something to delete: run the same command again")
        self._until_refreshed()
        remove.until_gone(self.client, remove.replaced(self.client), PARTS_SECONDS, self.tell)
        receipts.finish(self.client, said.erasure_id, self.clock())
        return said.erasure_id

    def _is_anything(self, people: People, facts: Facts, at: int) -> bool:
        return any(True for _ in find.all_rows(self.reader, people, self.identifiers, facts, at))

    def _receipt(self, said: Order, removed: dict[UUID, Counter[str]], kept: until.Kept) -> None:
        now = self.clock()
        receipts.write(self.client, said, removed, now + kept.logs, now + kept.compacted, now)

    def _order(self, said: Order, people: People, facts: Facts) -> None:
        """Say to everybody what is to be forgotten; nothing is deleted before it is said."""
        strong = {name for name in facts.identifiers if self.identifiers.is_strong(name)}
        shared = who.shared_among(self.reader, strong)
        found = order.records(said, people, facts.stored, shared, self.identifiers, self.records + 1)
        self.records += len(found)
        asyncio.run(order.send(self.kafka, found, lambda sent: self.tell(f"ordered {sent:,} of {len(found):,}")))
        self.ordered |= facts.events.keys()

    def _wait(self) -> None:
        """Until every generation has processed what is there."""
        self.tell("waiting for the line")
        current = live(self.reader)
        for number in sorted({*self.generations, current}):
            behind = asyncio.run(cut.through(self.kafka, self.sink_group, LINE_SECONDS, number))
            if behind:
                which = "" if number == current else f" of generation {number}"
                raise Behind(f"the line{which} is behind ({behind})")

    def _until_refreshed(self) -> None:
        """Until the figures are those of the rows that are left."""
        self.tell("waiting for the figures")
        before, deadline = server_time(self.reader), time.monotonic() + FIGURES_SECONDS
        while unrefreshed(self.reader, live(self.reader), before):
            if time.monotonic() > deadline:
                raise Behind(f"the sink has not refreshed the figures for {FIGURES_SECONDS:.0f} s")
            time.sleep(PAUSE_SECONDS)
