"""How long after its HTTP answer a touchpoint that makes two people one is seen to have done so, at 2,000 touchpoints a second.

    python -m benchmarks.merges [--rate 2000] [--cases 4] [--seconds 150]

Three kinds of cases, each as often as `--cases` says a second, within a load of the usual mix (80 % say nothing new, 5 % sign
in, 1 % link two names, 14 % come from a new device):

- merge: two customers, each on a device, three touchpoints each; then one touchpoint with both names;
- sign-in: three touchpoints on a device without a name; then one on it with a name;
- first contact: one touchpoint of a new customer on a new device.

The last touchpoint of a case is sent when everything before it is visible, as people of their own. The case is over when one
query of the views shows all touchpoints with the one customer, none with the others, whose journeys are gone, the one journey
with all of them, and the identifiers with the customer; each of these is timed as well.

What is in a figure: everything from the moment at which the client has the collector's answer to the moment at which it has
ClickHouse's. So it is the line's own time, and then the rest of the query that was under way, the pause until the next
(`seconds_between_queries`), and the query that shows the case (`query_seconds`). All cases that are waited for are in one query
of the views by their primary keys, on one thread. It shares the two cores with the line, so there are few cases at once and
the run is long; the sender shares them too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal
from uuid import UUID

from benchmarks import common
from benchmarks.http_line import SECRET, HttpLine, now, running, send_on_time
from deploy.local.clickhouse import ClickHouseServer
from schemas.identity import person_id

BATCH = 20
QUERY_SECONDS = 0.1  # from the start of a query to that of the next, at least
PATIENCE = 30.0  # for the last cases
WARM_UP_SECONDS = 30.0  # cases that begin earlier are not counted: the broker's JVM still compiles itself
ASPECTS = ("touchpoints", "identities", "journeys")
NAMES = ("ad_clicked", "menu_viewed", "product_viewed", "cart")
Kind = Literal["merge", "sign_in", "first_contact"]
KINDS: tuple[Kind, ...] = ("merge", "sign_in", "first_contact")
Item = dict[str, Any]

# What the views say of the people and identifiers that are waited for. A journey starts with its first touchpoint, whose time
# we know: definition and start are the primary key.
SHOWN = """
    SELECT 'touchpoints', lower(hex(person_id)), toString(count()) FROM v_touchpoints
    WHERE person_id IN ({people}) GROUP BY person_id
    UNION ALL
    SELECT 'journeys', lower(hex(person_id)), toString(sum(touchpoints)) FROM v_journeys
    WHERE definition = 'purchase' AND started_at IN ({starts}) AND person_id IN ({people}) GROUP BY person_id
    UNION ALL
    SELECT 'identities', identifier, lower(hex(person_id)) FROM v_identities WHERE identifier IN ({identifiers})
    SETTINGS max_threads = 1
"""


def person(identifier: str) -> str:
    return person_id(identifier, SECRET.encode()).hex


def item(identifiers: Mapping[str, str], name: str, event: str, at: str) -> Item:
    return {
        "event_id": event,
        "channel": "web",
        "name": name,
        "occurred_at": at,
        "identifiers": dict(identifiers),
    }


@dataclass
class Case:
    """One case: what is sent first, what is sent last, and what the views must show before and after."""

    kind: Kind
    first: list[tuple[dict[str, str], str]]  # identifiers and name of each touchpoint
    last: dict[str, str]
    owner: str  # identifier whose person has everything in the end
    others: dict[str, int]  # person that will be gone → touchpoints that it has before
    began: float = 0.0  # when its first touchpoint was sent, Unix seconds
    start: str = ""  # and when it occurred, as it was sent
    answered: float | None = None  # when the last one was, monotonic
    seen: dict[str, float] = field(default_factory=dict)  # aspect → seconds since
    whole: float | None = None  # all of them in one answer

    def __post_init__(self) -> None:
        self.person = person(self.owner)
        named = {f"{kind}:{value}" for identifiers, _ in self.first for kind, value in identifiers.items()}
        self.identifiers = sorted(named | {f"{kind}:{value}" for kind, value in self.last.items()})

    @property
    def people(self) -> list[str]:
        return [self.person, *self.others]

    def touchpoints_before(self) -> dict[str, int]:
        """Person → touchpoints, before the last one is sent."""
        return {**self.others, self.person: len(self.first) - sum(self.others.values())}

    def touchpoints_after(self) -> dict[str, int]:
        return {**dict.fromkeys(self.others, 0), self.person: len(self.first) + 1}


def cases(kind: Kind) -> Iterator[Case]:
    for number in count():
        customer, device = f"{kind}-{number}", f"{kind}-device-{number}"
        if kind == "merge":
            address, tablet = f"{kind}-{number}@example.org", f"{kind}-tablet-{number}"
            ones = {"customer_id": customer, "anonymous_id": device}
            others = {"email": address, "anonymous_id": tablet}
            first = [(who, name) for name in NAMES[:3] for who in (ones, others)]
            last = {"customer_id": customer, "email": address}
            yield Case(kind, first, last, f"customer_id:{customer}", {person(f"email:{address}"): 3})
        else:
            nameless = [({"anonymous_id": device}, name) for name in NAMES[:3]] if kind == "sign_in" else []
            last = {"customer_id": customer, "anonymous_id": device}
            gone = {person(f"anonymous_id:{device}"): 3} if nameless else {}
            yield Case(kind, nameless, last, f"customer_id:{customer}", gone)


class Mix:
    """The load: devices that become known, sign in, and link an address."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._numbers = count()
        self._known: list[dict[str, str]] = []  # of each device what is known of it

    def item(self, at: str) -> Item:
        chance, number, known = self._chance, next(self._numbers), self._known
        dice = chance.random()
        if dice < 0.14 or not known:
            known.append({"anonymous_id": f"device-{number}"})
            device = len(known) - 1
        else:
            device = int(chance.random() ** 2 * len(known))
        who = known[device]
        if 0.14 <= dice < 0.19:
            who.setdefault("customer_id", f"customer-{device}")
        elif 0.19 <= dice < 0.20 and "customer_id" in who:
            who = who | {"email": f"customer-{device}@example.org"}
        return item(who, NAMES[number % len(NAMES)], f"mix-{number}", at)


class Watch:
    """Cases on their way: prepared, ready for their last touchpoint, waiting for what it does, over."""

    def __init__(self, per_request: float) -> None:
        self._per_request = per_request  # cases of each kind that begin with a request
        self._due = 0.0
        self._source = {kind: cases(kind) for kind in KINDS}
        self._mix = Mix(1)
        self._prepared: list[Case] = []
        self._ready: deque[Case] = deque()
        self._waiting: list[Case] = []
        self._in_request: dict[int, list[tuple[Case, bool]]] = {}  # request → its cases, and whether it is their last
        self.over: list[Case] = []
        self.sending = True
        self.query_seconds: list[float] = []

    # --- sending -------------------------------------------------------------------------------------------------

    def body(self, number: int) -> bytes:
        """Request `number`: beginnings and ends of cases, and the mix."""
        items: list[Item] = []
        told: list[tuple[Case, bool]] = []
        at = now()
        self._due += self._per_request
        while self._due >= 1:
            self._due -= 1
            for kind in KINDS:
                case = next(self._source[kind])
                case.began = time.time()
                if not case.first:
                    self._ready.append(case)
                    continue
                case.start = at
                told.append((case, False))
                items += [item(who, name, f"{case.owner}-{n}", at) for n, (who, name) in enumerate(case.first)]
        while self._ready and len(items) < BATCH:
            case = self._ready.popleft()
            case.start = case.start or at
            told.append((case, True))
            items.append(item(case.last, NAMES[-1], f"{case.owner}-last", at))
        items += [self._mix.item(at) for _ in range(BATCH - len(items))]
        self._in_request[number] = told
        return json.dumps(items).encode()

    def answered(self, number: int) -> None:
        for case, is_last in self._in_request.pop(number):
            if is_last:
                case.answered = time.monotonic()
                self._waiting.append(case)
            else:
                self._prepared.append(case)

    @property
    def left(self) -> bool:
        return bool(self.sending or self._waiting)

    # --- looking -------------------------------------------------------------------------------------------------

    async def look(self, server: ClickHouseServer) -> None:
        """Ask until all cases are over that got their last touchpoint."""
        give_up = float("inf")
        while self.left:
            if not self.sending:
                give_up = min(give_up, time.monotonic() + PATIENCE)
            if time.monotonic() > give_up:
                raise SystemExit(f"{len(self._waiting)} cases were not seen in {PATIENCE:.0f} s: {self._waiting[0]}")
            began = time.monotonic()
            asked = [*self._waiting, *self._prepared]
            if asked:
                answer = await asyncio.to_thread(server.query, _query(asked))
                at = time.monotonic()
                self.query_seconds.append(at - began)
                self._take(answer, set(map(id, asked)), at)
            await asyncio.sleep(max(0.0, began + QUERY_SECONDS - time.monotonic()))

    def _take(self, answer: str, asked: set[int], at: float) -> None:
        shown: dict[str, dict[str, str]] = {aspect: {} for aspect in ASPECTS}
        for line in answer.splitlines():
            aspect, key, value = line.split("\t")
            shown[aspect][key] = value
        for case in [case for case in self._prepared if id(case) in asked]:
            wanted = case.touchpoints_before()
            if _counts(shown["touchpoints"], wanted) and _counts(shown["journeys"], wanted):
                self._prepared.remove(case)
                self._ready.append(case)
        for case in [case for case in self._waiting if id(case) in asked]:
            assert case.answered is not None
            wanted = case.touchpoints_after()
            right = {
                "touchpoints": _counts(shown["touchpoints"], wanted),
                "journeys": _counts(shown["journeys"], wanted),
                "identities": all(shown["identities"].get(name) == case.person for name in case.identifiers),
            }
            for aspect in ASPECTS:
                if right[aspect]:
                    case.seen.setdefault(aspect, at - case.answered)
            if all(right.values()):
                case.whole = at - case.answered
                self._waiting.remove(case)
                self.over.append(case)


def _counts(shown: Mapping[str, str], wanted: Mapping[str, int]) -> bool:
    return all(int(shown.get(who, 0)) == touchpoints for who, touchpoints in wanted.items())


def _query(asked: list[Case]) -> str:
    people = ", ".join(f"'{UUID(who)}'" for case in asked for who in case.people)
    identifiers = ", ".join(f"'{name}'" for case in asked for name in case.identifiers)
    starts = ", ".join(sorted({f"toDateTime64('{case.start.removesuffix('Z')}', 3, 'UTC')" for case in asked}))
    return SHOWN.format(people=people, identifiers=identifiers, starts=starts)


def spread(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "p50": round(ordered[len(ordered) // 2], 3),
        "p99": round(ordered[len(ordered) * 99 // 100], 3),
        "max": round(ordered[-1], 3),
    }


def figures(over: list[Case]) -> dict[str, Any]:
    """Of the cases of one kind: seconds until all is right, and until each aspect is."""
    return {
        "samples": len(over),
        "seconds": spread([case.whole for case in over if case.whole is not None]),
        "seconds_until": {aspect: spread([case.seen[aspect] for case in over]) for aspect in ASPECTS},
    }


async def run(line: HttpLine, rate: float, per_second: float, seconds: float) -> Watch:
    requests = rate / BATCH
    watch = Watch(per_second / requests)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(watch.look(line.server))
        await send_on_time(line.port, int(requests * seconds), requests, watch.body, watch.answered)
        watch.sending = False
    return watch


def measure(arguments: argparse.Namespace, line: HttpLine) -> dict[str, Any]:
    before, began, started = line.cpu_seconds(), time.monotonic(), time.time()
    watch = asyncio.run(run(line, arguments.rate, arguments.cases, arguments.seconds + WARM_UP_SECONDS))
    wall = time.monotonic() - began
    counted = [case for case in watch.over if case.began >= started + WARM_UP_SECONDS]
    return {
        "partitions": arguments.partitions,
        "touchpoints_per_second": arguments.rate,
        "cases_per_second": dict.fromkeys(KINDS, arguments.cases),
        **{kind: figures([case for case in counted if case.kind == kind]) for kind in KINDS},
        "query_seconds": spread(watch.query_seconds),
        "seconds_between_queries": round(wall / len(watch.query_seconds), 3),
        "transactions_and_batches": line.waits(),
        "cores_used": {name: round((used - before[name]) / wall, 2) for name, used in line.cpu_seconds().items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark of the latency of merges from HTTP to ClickHouse.")
    parser.add_argument("--rate", type=float, default=2000.0, help="touchpoints per second, cases included")
    parser.add_argument("--cases", type=float, default=4.0, help="cases of each kind per second")
    parser.add_argument("--seconds", type=float, default=150.0)
    parser.add_argument("--partitions", type=int, default=4)
    arguments = parser.parse_args()
    on = common.machine()
    with running(arguments.partitions) as line:
        common.publish("merges", on, measure(arguments, line))


if __name__ == "__main__":
    main()
