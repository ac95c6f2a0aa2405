"""The packed fold against the plain one: whatever arrives, in whatever order and however often, with restarts in between."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.dead_letters import DeadLetters
from processors.horizon import HORIZON
from processors.stitching import DefinitionsChanged, StitchPartition
from runtime.chunked.leg import Chunk
from schemas.codec import encode
from schemas.definition import GOAL, STARTS, Definition
from schemas.journey import Journey
from schemas.late import Late
from schemas.outcome import Outcome
from schemas.person import Assigned, FoldRecord, ReadTo
from tests import oracle

HOUR = 3_600_000
T0 = 1_700_000_000_000
GRACE = 5_000


def definition(name: str, *, goal: str | None, ends_after: str = "30h") -> Definition:
    stages = [
        {"name": n, "patience": p, "match": [{"name": n}]}
        for n, p in (("look", "2h"), ("want", "5h"), ("buy", "9h"), ("use", "20h"))
    ]
    return Definition.model_validate({"name": name, "stages": stages, "goal": goal, "ends_after": ends_after})


DEFINITIONS = (definition("purchase", goal="buy"), definition("endless", goal=None, ends_after="20h"))
NUMBERS = {
    "look": [1 | STARTS, 1 | STARTS],
    "want": [2 | STARTS, 2],
    "buy": [3 | STARTS | GOAL, 3 | STARTS],
    "use": [4, 4],
    "other": [0, 0],
    "peek": [2, 0],  # a stage before the goal that does not start anything
    "start": [STARTS, STARTS],
}
PEOPLE = [f"{n:032x}" for n in (1, 2)]
EVENTS = [f"{n * 7919 + 5:032x}" for n in range(9)]


def partition(max_touchpoints: int = 6, horizon: int = HORIZON) -> StitchPartition:
    letters = DeadLetters("dead_letters", 4, "stitch")
    return StitchPartition(
        3,
        DEFINITIONS,
        generation=1,
        partitions=1,
        max_touchpoints=max_touchpoints,
        journeys="journeys",
        dead_letters=letters,
        outage_grace=GRACE,
        horizon=horizon,
    )


@st.composite
def records(draw: st.DrawFn) -> FoldRecord:
    name = draw(st.sampled_from(list(NUMBERS)))
    kind, score = draw(st.sampled_from([("", -1), ("", -1), ("nps", 0), ("nps", 10), ("csat", 3), ("text", -1)]))
    amount, currency = draw(st.sampled_from([(0, ""), (0, ""), (1250, "EUR"), (-99, "EUR"), (7, "MXN")]))
    return FoldRecord(
        at=T0 + draw(st.integers(0, 60)) * HOUR,
        channel=draw(st.sampled_from(["web", "store"])),
        name=name,
        rules=NUMBERS[name],
        sequence=draw(st.integers(-1, 2)),
        amount=amount,
        currency=currency,
        feedback=kind,
        score=score,
        sentiment="negative" if kind == "text" else "",
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Assigned]:
    """Statements about touchpoints; one (event, version) never has two contents, as the contract promises."""
    said: dict[tuple[str, str, int, int], Assigned] = {}
    for _ in range(draw(st.integers(1, 16))):
        key = (
            draw(st.sampled_from(PEOPLE)),
            draw(st.sampled_from(EVENTS)),
            draw(st.integers(0, 2)),
            draw(st.integers(0, 2)),
        )
        record = draw(st.one_of(records(), records(), records(), st.none()))
        said.setdefault(key, Assigned(*key, T0, record))
    order = list(said.values())
    order += draw(st.lists(st.sampled_from(order), max_size=6))
    return draw(st.permutations(order))


def chunk(values: list[bytes]) -> Chunk:
    n = len(values)
    return Chunk("people", 3, list(range(n)), [T0] * n, [None] * n, list(values))


class Line:
    """Runs a partition as the store would: cuts chunks, collects, and now and then dies and is restored."""

    def __init__(self, seed: int, max_touchpoints: int = 6, horizon: int = HORIZON) -> None:
        self.random = random.Random(seed)
        self.max, self.horizon = max_touchpoints, horizon
        self.log: dict[bytes, bytes | None] = {}
        self.rows: dict[str, Journey] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.late: dict[tuple[str, str], Late] = {}
        self.versions: set[int] = set()
        self.committed = 0
        self.partition = partition(max_touchpoints, horizon)
        self.now = T0

    def run(self, messages: list[Assigned | ReadTo], *, crashes: bool = True) -> dict[str, Journey]:
        left = [encode(m) for m in messages]
        while left:
            n = self.random.randint(1, 5)
            taken, left_after = left[:n], left[n:]
            self.partition.take(chunk(taken))
            if crashes and self.random.random() < 0.25:  # dies before it committed: the chunk comes again
                self.restart()
                continue
            left = left_after
            self.now += self.random.choice([50, 400, 2000])
            if self.random.random() < 0.5:
                self.partition.tick(self.now, {})
            self.commit()
            if crashes and self.random.random() < 0.2:
                self.restart()
        self.now += 5000
        self.partition.tick(self.now, {})
        self.commit()
        return {ident: row for ident, row in self.rows.items() if not row.is_deleted}

    def commit(self) -> None:
        state, out = self.partition.collect(self.now)
        self.log.update(state)
        self.committed = max(self.versions, default=0)
        for record in out:
            assert record.partition == 3
            if record.topic == "outcomes":
                self.told(msgspec.json.decode(record.value or b"", type=Outcome))
                continue
            if record.topic == "late":
                late = msgspec.json.decode(record.value or b"", type=Late)
                known_late = self.late.get((late.person_id, late.event_id), late)
                if (known_late.revision, known_late.move) <= (late.revision, late.move):
                    self.late[late.person_id, late.event_id] = late
                continue
            assert record.topic == "journeys"
            row = msgspec.json.decode(record.value or b"", type=Journey)
            self.numbered(row.version)
            known = self.rows.get(row.journey_id)
            if known:
                assert (known.definition, known.started_at) == (row.definition, row.started_at), "the id fixes the key"
            self.rows[row.journey_id] = row

    def told(self, row: Outcome) -> None:
        self.numbered(row.version)
        known = self.outcomes.get(row.outcome_id)
        if known is None:
            assert not row.retracted, "what was never told is not taken back"
        else:
            assert msgspec.structs.replace(known, version=0) != msgspec.structs.replace(row, version=0), "told twice"
            assert (known.journey_id, known.at, known.kind) == (row.journey_id, row.at, row.kind), (
                "the id fixes the key"
            )
        self.outcomes[row.outcome_id] = row

    def numbered(self, version: int) -> None:
        """Within one transaction journeys and outcomes are numbered in any order."""
        assert version not in self.versions, "a version must never be used twice"
        assert version > self.committed, "versions rise"
        self.versions.add(version)

    def restart(self) -> None:
        self.partition = partition(self.max, self.horizon)
        items = [(k, v) for k, v in self.log.items() if v is not None]
        self.random.shuffle(items)
        self.partition.restore(items[: len(items) // 2])
        self.partition.restore(items[len(items) // 2 :])


def expected(messages: list[Assigned], as_of: int, most: int) -> list[dict[str, object]]:
    found = []
    for person in PEOPLE:
        events = oracle.live(m for m in messages if m.person_id == person)
        if len(events) > most:
            continue
        for place, d in enumerate(DEFINITIONS):
            for journey in oracle.journeys(events, place, d):
                found.append({"person_id": person, "definition": d.name, **oracle.standing(journey, place, d, as_of)})
    return sorted(found, key=repr)


def shown(rows: dict[str, Journey], keys: list[str]) -> list[dict[str, object]]:
    return sorted(({key: getattr(row, key) for key in keys} for row in rows.values()), key=repr)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories(), st.integers(0, 2**32), st.sampled_from([3, 6, 100]))
def test_stream_equals_plain_fold(messages: list[Assigned], seed: int, most: int) -> None:
    as_of = T0 + 30 * HOUR
    rows = Line(seed, most).run([ReadTo(0, as_of), *messages])
    want = expected(messages, as_of, most)
    keys = list(want[0]) if want else ["person_id"]
    assert shown(rows, keys) == want


@settings(max_examples=60, deadline=None)
@given(histories(), st.integers(0, 2**32), st.randoms(use_true_random=False))
def test_order_duplicates_and_restarts_change_nothing(
    messages: list[Assigned], seed: int, shuffled: random.Random
) -> None:
    other = [*messages, *messages]
    shuffled.shuffle(other)
    without = {"version", "arrived_at"}
    first = Line(seed).run(list(messages), crashes=False)
    second = Line(seed + 1).run(list(other))

    def content(rows: dict[str, Journey]) -> dict[str, dict[str, object]]:
        return {i: {k: v for k, v in msgspec.structs.asdict(r).items() if k not in without} for i, r in rows.items()}

    assert content(first) == content(second)


def test_a_row_that_only_grew_waits_for_the_beat() -> None:
    p = partition(100)
    record = FoldRecord(T0, "web", "look", NUMBERS["look"])
    p.take(chunk([encode(Assigned(PEOPLE[0], EVENTS[0], 0, 1, T0, record))]))
    assert len(p.collect(T0)[1]) == 2, "a new journey of each definition is written at once"
    p.tick(T0 + 10_000, {})
    again = msgspec.structs.replace(record, at=T0 + HOUR)
    p.take(chunk([encode(Assigned(PEOPLE[0], EVENTS[1], 0, 1, T0, again))]))
    state, rows = p.collect(T0 + 10_100)
    assert state
    assert not rows
    restored = partition(100)
    restored.restore([(k, v) for k, v in {**p_state(p), **state}.items()])
    restored.tick(T0 + 11_500, {})
    assert len(restored.collect(T0 + 11_500)[1]) == 2, "what is owed is written after a restart"
    p.tick(T0 + 11_500, {})
    later, rows = p.collect(T0 + 11_500)
    assert len(rows) == 2
    after = partition(100)
    after.restore([(k, v) for k, v in {**p_state(p), **state, **later}.items()])
    after.tick(T0 + 20_000, {})
    assert not after.collect(T0 + 20_000)[1], "what was owed and has been written is not written again by every restart"


def p_state(p: StitchPartition) -> dict[bytes, bytes | None]:
    """The vocabulary and meta records that were written with the first transaction."""
    fresh = partition(100)
    record = FoldRecord(T0, "web", "look", NUMBERS["look"])
    fresh.take(chunk([encode(Assigned(PEOPLE[0], EVENTS[0], 0, 1, T0, record))]))
    return dict(fresh.collect(T0)[0])


def test_a_person_larger_than_a_slice_is_restored_whole() -> None:
    line = Line(1, max_touchpoints=20_000)
    messages: list[Assigned | ReadTo] = [
        Assigned(PEOPLE[0], f"{n:032x}", 0, 1, T0, FoldRecord(T0 + n * 1000, "web", "look", NUMBERS["look"]))
        for n in range(3000)
    ]
    for at in range(0, 3000, 500):
        line.partition.take(chunk([encode(m) for m in messages[at : at + 500]]))
        line.commit()
    assert sum(key[:1] in b"pP" for key in line.log) == 3
    line.restart()
    late = FoldRecord(T0 + 500, "web", "look", NUMBERS["look"])
    rows = line.run([Assigned(PEOPLE[0], "f" * 32, 0, 1, T0, late)], crashes=False)
    assert {row.touchpoints for row in rows.values()} == {3001}


def test_a_bad_record_costs_only_itself() -> None:
    p = partition()
    good = encode(Assigned(PEOPLE[0], EVENTS[0], 0, 1, T0, FoldRecord(T0, "web", "look", NUMBERS["look"])))
    p.take(
        chunk(
            [
                good,
                b'{"said":"assigned","person_id":"no"}',
                b"\xff\xfe",
                b"",
                good.replace(EVENTS[0].encode(), b"x" * 32),
                good.replace(EVENTS[0].encode(), EVENTS[1].encode()),
            ]
        )
    )
    _, out = p.collect(T0)
    letters = [msgspec.json.decode(o.value or b"") for o in out if o.topic == "dead_letters"]
    assert [(letter["reason"], letter["address"]) for letter in letters] == [
        ("undecodable", "people/3/1"),
        ("undecodable", "people/3/2"),
        ("undecodable", "people/3/3"),
        ("undecodable", "people/3/4"),
    ]
    rows = [msgspec.json.decode(o.value or b"", type=Journey) for o in out if o.topic == "journeys"]
    assert {row.touchpoints for row in rows} == {2}


def test_what_only_a_broken_writer_says_is_refused_or_ignored() -> None:
    p = partition()
    record = FoldRecord(T0, "web", "look", NUMBERS["look"])
    wrong = [msgspec.structs.replace(record, rules=rules) for rules in ([], [1], [1, 2, 3])]
    said = [encode(Assigned(PEOPLE[0], EVENTS[n], 0, 1, T0, r)) for n, r in enumerate(wrong)]
    p.take(chunk([*said, encode(ReadTo(99, T0)), encode(ReadTo(0, T0))]))
    _, out = p.collect(T0)
    assert [o.topic for o in out] == ["dead_letters"] * 3
    assert p.as_of == T0


def test_other_definitions_refuse_the_state() -> None:
    line = Line(1)
    line.run([Assigned(PEOPLE[0], EVENTS[0], 0, 1, T0, FoldRecord(T0, "web", "look", NUMBERS["look"]))], crashes=False)
    letters = DeadLetters("dead_letters", 4, "stitch")
    other = StitchPartition(
        3, DEFINITIONS[:1], generation=1, partitions=1, max_touchpoints=9, journeys="journeys", dead_letters=letters
    )
    other.restore([(k, v) for k, v in line.log.items() if v is not None])
    with pytest.raises(DefinitionsChanged, match="needs a new generation"):
        other.tick(T0, {})


def test_a_person_with_many_touchpoints_out_of_order_is_folded_once_a_chunk() -> None:
    """Otherwise one such person keeps a worker busy for longer than its transactions may last, again and again."""
    events = [f"{number:032x}" for number in range(1, 2_001)]
    looks = [FoldRecord(at=T0 + n, channel="web", name="look", rules=NUMBERS["look"]) for n in range(2_000)]
    said = [Assigned(PEOPLE[0], event, 0, 1, T0, look) for event, look in zip(events, looks, strict=True)]
    random.Random(5).shuffle(said)
    p = partition(max_touchpoints=5_000)
    rows: list[Journey] = []
    for half in (said[:1_000], said[1_000:]):
        p.take(chunk([msgspec.json.encode(message) for message in half]))
        rows += [msgspec.json.decode(o.value or b"", type=Journey) for o in p.collect(T0)[1] if o.topic == "journeys"]
    assert len(rows) < 20
    newest = {row.journey_id: row for row in rows}
    live = [row for row in newest.values() if not row.is_deleted]
    assert [row.touchpoints for row in live] == [2_000, 2_000]
    assert all(row.path_time == list(range(T0, T0 + 2_000)) for row in live)
