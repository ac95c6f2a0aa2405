"""Who somebody is and what they did, from ClickHouse by primary key: few queries, each for all who ask at that moment.

Rows are read by key alone: FINAL costs a third more, and a condition on the generation as much again, so the highest version
of the live generation is taken here. No identifier comes into the text of a query. What a person's journeys are is folded
from their touchpoints, like everywhere one person is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

import structlog
from clickhouse_driver.errors import Error as ClickHouseError

from dashboard.batches import Batches
from dashboard.settings import DashboardSettings
from people import find
from people.find import Found, Owner, Refused
from people.life import OtherDefinitions, Touchpoint, lived, require_same
from people.now import Now
from sinks.generations import live
from sinks.reader import READ_ONLY, Given, Reader, connect

LOOK_SECONDS = 2.0  # between two looks at which generation is live, and whether ClickHouse answers at all
ANSWER_SECONDS = 5  # longest query
LONG_LIFE = 500  # touchpoints above which folding them would keep everybody else waiting
UNREACHABLE = (ClickHouseError, OSError, EOFError)

_OWNERS = """
SELECT generation, identifier, person_id, own_id, shared, version FROM identities
WHERE identifier IN (SELECT value FROM given)
"""
_TOUCHPOINTS = """
SELECT
    generation, person_id, is_deleted, version, event_id, toUnixTimestamp64Milli(occurred_at), sequence, channel, name,
    rules, amount, currency, feedback, score, sentiment
FROM person_touchpoints
WHERE person_id IN {people:Array(UUID)}
LIMIT {most:UInt32} BY generation, person_id
"""
_TEXTS = """
SELECT event_id, argMax(feedback_text, version) FROM touchpoints WHERE event_id IN (SELECT value FROM given) GROUP BY event_id
"""

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

log = structlog.get_logger()


class Away(Exception):
    """ClickHouse gives no answer, or holds journeys of other definitions; says which."""


class TooMany(Exception):
    """The person has more touchpoints than anybody may have to have journeys."""


class Lookups:
    """Answers questions about one person each, inside `async with`."""

    def __init__(self, settings: DashboardSettings, now: Callable[[], int]) -> None:
        """`now`: the time, ms UTC. Raises DefinitionsError, KindsError."""
        self._settings, self._now = settings, now
        self._definitions, self._kinds = settings.journeys, settings.kinds
        self._generation = 1
        self.problem = "ClickHouse has not been asked yet"  # why nothing can be answered; "": it can
        self._opened = ExitStack()
        self._owners = self._lane("owners", self._ask_owners)
        self._touchpoints = self._lane("touchpoints", self._ask_touchpoints)
        self._texts = self._lane("texts", self._ask_texts)
        self._looking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Lookups:
        self._looking = asyncio.create_task(self._look(self._reader()))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._looking is not None
        self._looking.cancel()
        await asyncio.gather(self._looking, return_exceptions=True)
        await asyncio.to_thread(self._opened.close)

    # --- questions ---------------------------------------------------------------------------------------------------

    async def meant(self, text: str) -> Found | Refused:
        """Who is meant by an identifier, however it is spelt. Raises Away."""
        candidates = find.candidates(text, self._kinds)
        owners = await self._answer(asyncio.gather(*map(self._owners.get, candidates)))
        return find.meant(text, filter(None, owners), self._kinds)

    async def now(self, person: UUID, most: int) -> Now | None:
        """What somebody is in the middle of, with at most so many of their last touchpoints; None if nothing is stored of them.
        Raises Away, TooMany."""
        touchpoints = await self._answer(self._touchpoints.get(person))
        if touchpoints is None:
            return None
        if len(touchpoints) > self._settings.max_touchpoints:
            raise TooMany(f"more than {self._settings.max_touchpoints:,} touchpoints")
        as_of = self._now()
        if len(touchpoints) > LONG_LIFE:
            life = await asyncio.to_thread(lived, person, (), touchpoints, self._definitions, as_of)
        else:
            life = lived(person, (), touchpoints, self._definitions, as_of)
        now = Now(life, self._definitions, as_of, most)
        said = [UUID(bytes=one.event) for one in now.feedback]
        if not said:
            return now
        texts = dict(zip(said, await self._answer(asyncio.gather(*map(self._texts.get, said))), strict=True))
        told = tuple(one._replace(text=texts.get(UUID(bytes=one.event)) or "") for one in life.touchpoints)
        return replace(now, life=replace(life, touchpoints=told))

    async def _answer(self, asked: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await asked
        except TimeoutError as error:
            raise Away(f"ClickHouse did not answer within {ANSWER_SECONDS} s") from error
        except UNREACHABLE as error:
            raise Away(f"ClickHouse does not answer: {_plainly(error)}") from error

    # --- asking, in threads ------------------------------------------------------------------------------------------

    def _lane(self, name: str, ask: Callable[[Reader, Sequence[K]], Mapping[K, V]]) -> Batches[K, V]:
        reader = self._reader()
        lane = Batches[K, V](name, lambda keys: ask(reader, keys))
        self._opened.callback(lane.close)  # before its connection, which was opened earlier
        return lane

    def _reader(self) -> Reader:
        """With a connection of its own, which is made when it is needed."""
        client = connect(
            self._settings,
            answer_seconds=ANSWER_SECONDS,
            readonly=READ_ONLY,
            server_side_params=True,
            max_threads=1,
            max_execution_time=ANSWER_SECONDS,
        )
        return Reader(self._opened.enter_context(client))

    def _ask_owners(self, reader: Reader, identifiers: Sequence[str]) -> dict[str, Owner]:
        newest: dict[str, tuple[int, Owner]] = {}
        for row in reader.ask(_OWNERS, given=[Given("given", "String", identifiers)]).rows:
            generation, identifier, person, own, shared, version = row
            if generation == self._generation and version > newest.get(identifier, (-1,))[0]:
                newest[identifier] = version, Owner(identifier, person, own, bool(shared))
        return {identifier: owner for identifier, (_, owner) in newest.items()}

    def _ask_touchpoints(self, reader: Reader, people: Sequence[UUID]) -> dict[UUID, list[Touchpoint]]:
        most = 2 * (self._settings.max_touchpoints + 1)  # rows: several may be of one touchpoint
        newest: dict[tuple[UUID, UUID], list[Any]] = {}
        for generation, *row in reader.ask(_TOUCHPOINTS, {"people": list(people), "most": most}).rows:
            person, _, version, event, *_ = row
            known = newest.get((person, event))
            if generation == self._generation and (known is None or version > known[2]):
                newest[person, event] = row
        found: dict[UUID, list[Touchpoint]] = {}
        for person, gone, _, event, at, sequence, channel, name, rules, *more in newest.values():
            if not gone:
                one = Touchpoint(event.bytes, at, sequence, channel, name, tuple(rules), *more)
                found.setdefault(person, []).append(one)
        return found

    def _ask_texts(self, reader: Reader, events: Sequence[UUID]) -> dict[UUID, str]:
        return dict(reader.ask(_TEXTS, given=[Given("given", "UUID", events)]).rows)

    # --- is there anything to ask? -----------------------------------------------------------------------------------

    async def _look(self, reader: Reader) -> None:
        """Which generation is live, and are its journeys those of our definitions? Again and again."""
        while True:
            problem = await asyncio.to_thread(self._ask_state, reader)
            if problem != self.problem:
                log.info("lookups", problem=problem or "none: ready")
            self.problem = problem
            await asyncio.sleep(LOOK_SECONDS)

    def _ask_state(self, reader: Reader) -> str:
        try:
            self._generation = live(reader)
            require_same(reader, self._definitions)
        except UNREACHABLE as error:
            return f"ClickHouse does not answer: {_plainly(error)}"
        except OtherDefinitions as error:
            return str(error)
        return ""


def _plainly(error: BaseException) -> str:
    """Without the server's stack trace."""
    return " ".join(str(error).partition("Stack trace:")[0].split()) or type(error).__name__
