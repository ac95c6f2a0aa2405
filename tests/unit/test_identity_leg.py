"""The identity leg: whose is it, duplicates, conflicts, revisions, how far it has read."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.dead_letters import DeadLetters
from processors.identity import IdentityPartition
from processors.stitching import DefinitionsChanged
from runtime.chunked.leg import Chunk, Output
from schemas.codec import encode
from schemas.definition import Definition, load_definitions
from schemas.erasure import Erase, Gone, Hashed, Mark
from schemas.identity import person_id
from schemas.messages import Advert
from schemas.person import Assigned, Identity, PersonMessage, ReadTo

T0 = 1_700_000_000_000
SECRET = b"test"


def leg(partitions: int = 1, definitions: Sequence[Definition] | None = None) -> IdentityPartition:
    return IdentityPartition(
        partitions - 1,
        definitions or load_definitions(),
        secret=SECRET,
        partitions=partitions,
        dead_letters=DeadLetters("dead_letters", partitions, "identity"),
    )


def stored(event: int, *, content: int = 0, revision: int = 0, **more: Any) -> bytes:
    given = {
        "event_id": str(UUID(int=event + 1)),
        "source": "web",
        "address": "a",
        "identifiers": {"anonymous_id": "a1", "email": "ada@example.com"},
        "channel": "web",
        "name": "cart",
        "occurred_at": T0,
        "received_at": T0,
        "content": f"{content:x}".ljust(32, "0"),
        "revision": revision,
    }
    return encode(given | more)


def feed(partition: IdentityPartition, values: list[bytes], at: int = T0) -> list[Output]:
    n = len(values)
    partition.take(Chunk("touchpoints", 0, list(range(n)), [at] * n, [None] * n, list(values)))
    return list(partition.collect(at)[1])


def said(out: list[Output]) -> list[Assigned]:
    messages = [msgspec.json.decode(o.value or b"", type=PersonMessage) for o in out if o.topic == "people"]
    return [m for m in messages if isinstance(m, Assigned)]


def letters(out: list[Output]) -> list[dict[str, Any]]:
    return [msgspec.json.decode(o.value or b"") for o in out if o.topic == "dead_letters"]


def test_the_first_strong_identifier_names_the_person_else_the_first_weak_one() -> None:
    p = leg()
    out = feed(
        p,
        [
            stored(1),
            stored(2, identifiers={"anonymous_id": "a2"}),
            stored(3, identifiers={"email": "e", "customer_id": "7"}),
        ],
    )
    names = ["email:ada@example.com", "anonymous_id:a2", "customer_id:7"]
    assert [m.person_id for m in said(out)] == [person_id(name, SECRET).hex for name in names]
    assert said(out)[0].record is not None
    assert said(out)[0].record.rules == [4 | 0b0100_0000]  # type: ignore[union-attr]


def test_a_duplicate_says_nothing_and_other_content_is_a_conflict_that_does_not_stand() -> None:
    p = leg()
    assert len(said(feed(p, [stored(1), stored(1), stored(2)]))) == 2
    out = feed(p, [stored(1, content=9)])
    assert not said(out)
    assert [(letter["reason"], letter["path"], letter["address"]) for letter in letters(out)] == [
        ("conflicting", "event_id", "touchpoints/0/0")
    ]


def test_a_higher_revision_replaces_and_moves_to_its_new_person() -> None:
    p = leg()
    first = said(feed(p, [stored(1, revision=1)]))
    second = said(feed(p, [stored(1, revision=3, content=1, identifiers={"customer_id": "7"})]))
    assert [(m.revision, m.move, m.record is None) for m in first + second] == [
        (1, 1, False),
        (3, 0, True),
        (3, 1, False),
    ]
    assert first[0].person_id == second[0].person_id != second[1].person_id
    assert not said(feed(p, [stored(1, revision=2, content=2)])), "a lower revision that comes late changes nothing"
    gone = said(feed(p, [stored(1, revision=4, content=3, retracted=True, identifiers={"customer_id": "7"})]))
    assert [(m.revision, m.move, m.record) for m in gone] == [(4, 0, None)]
    assert letters(feed(p, [stored(1, revision=4, content=5)]))[0]["reason"] == "conflicting"


def test_bad_records_become_dead_letters_and_cost_no_neighbour() -> None:
    bad = [
        b"{",
        b"",
        b"null",
        b"[]",
        b"\xff",
        stored(5, content=3)[:-1],
        stored(6, occurred_at=0),
        stored(7, occurred_at=2**60),
        stored(8, revision=-1),
        stored(9) + b"\n" + stored(10),
        encode({**msgspec.json.decode(stored(11)), "content": "zz"}),
        encode({**msgspec.json.decode(stored(15)), "content": "z" * 32}),
        encode({**msgspec.json.decode(stored(16)), "content": "ab " * 10 + "ab"}),
        stored(12, value={"amount": 10**16, "currency": "EUR"}),
        stored(13, feedback={"kind": "nps", "score": 99}),
        stored(14, identifiers={"shoe_size": "43"}),
        b"[" * 100_000,
    ]
    out = feed(leg(), [stored(1), *bad, stored(2)])
    assert [m.event_id for m in said(out)] == [UUID(int=2).hex, UUID(int=3).hex]
    assert {letter["address"] for letter in letters(out)} == {f"touchpoints/0/{n}" for n in range(1, len(bad) + 1)}


def test_an_erasure_that_cannot_be_meant_becomes_a_dead_letter_and_costs_no_neighbour() -> None:
    home, event = Hashed("ab" * 16, 7), UUID(int=2).hex
    name = person_id("email:ada@example.com", SECRET).hex
    good = encode(Erase("e", T0, [name, "ab" * 16], [Gone(event, home, "web", T0)], [Mark(home, T0, 3, event)]))
    bad = [
        good.replace(b"ab" * 16, b"x" * 32),
        good.replace(b"ab" * 16, b"ab " * 10 + b"ab"),
        good.replace(event.encode(), b"z" * 32),
        good.replace(b'"at":', b'"at":-'),
        good.replace(b",3,", b",-7,"),
        good.replace(b",7]", b",-7]"),
    ]
    assert good not in bad
    partition, out = leg(), list[Output]()
    partition.take(Chunk("commands", 0, list(range(7)), [T0] * 7, [None] * 7, [*bad, good]))
    out += partition.collect(T0)[1]
    assert {letter["address"] for letter in letters(out)} == {f"commands/0/{n}" for n in range(len(bad))}
    assert not said(feed(partition, [stored(1)])), "the good one was obeyed"


def test_it_says_how_far_it_has_read_to_every_partition_and_not_too_often() -> None:
    p = leg(4)
    p.tick(T0, {"touchpoints": T0 - 5, "identity": T0 - 4})
    p.tick(T0 + 100, {"touchpoints": T0 + 90, "identity": T0 + 90})
    p.tick(T0 + 300, {"touchpoints": T0 + 300, "identity": T0 + 290})
    out = list(p.collect(T0)[1])
    messages = [msgspec.json.decode(o.value or b"", type=PersonMessage) for o in out]
    assert [o.partition for o in out] == [0, 1, 2, 3] * 2
    assert {m for m in messages if isinstance(m, ReadTo)} == {ReadTo(3, T0 - 5), ReadTo(3, T0 + 290)}


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2), st.integers(0, 3)), max_size=30), st.integers(0, 2**32))
def test_restarts_anywhere_change_nothing(events: list[tuple[int, int, int]], seed: int) -> None:
    """What is told to people is the same with and without restarts between transactions."""
    values = [
        stored(e, revision=r, content=e * 10 + r, identifiers={"customer_id": str(c if r else e)}) for e, r, c in events
    ]
    plain = feed(leg(), values)
    chance = random.Random(seed)
    log: dict[bytes, bytes | None] = {}
    p = leg()
    out: list[Output] = []
    for value in values:
        p.take(Chunk("touchpoints", 0, [0], [T0], [None], [value]))
        state, records = p.collect(T0)
        log.update(state)
        out += records
        if chance.random() < 0.3:
            p = leg()
            p.restore(list(log.items()))
    assert said(out) == said(plain)


def test_a_record_nested_beyond_all_limits_costs_nobody_else() -> None:
    deep = stored(1, properties={"a": "HERE"}).replace(b'"HERE"', b"[" * 100_000 + b"]" * 100_000)
    out = feed(leg(), [stored(0), deep, b"[" * 100_000, stored(2)])
    assert [m.event_id for m in said(out)] == [UUID(int=1).hex, UUID(int=3).hex]
    assert [letter["address"] for letter in letters(out)] == ["touchpoints/0/1", "touchpoints/0/2"]


def test_two_records_in_one_do_not_shift_the_others() -> None:
    """With an empty one beside them they are as many lines as there are records."""
    p, values = leg(), [stored(0) + b"\n" + stored(1), b"", stored(2)]
    p.take(Chunk("touchpoints", 0, [0, 1, 2], [T0, T0, T0 + 7], [None] * 3, list(values)))
    out = list(p.collect(T0)[1])
    assert [(m.event_id, m.arrived) for m in said(out)] == [(UUID(int=3).hex, T0 + 7)]
    assert [letter["address"] for letter in letters(out)] == ["touchpoints/0/0", "touchpoints/0/1"]


def test_what_clickhouse_would_refuse_is_refused_before_it_is_in_a_journey() -> None:
    wrong: list[dict[str, Any]] = [
        {"name": ""},
        {"channel": ""},
        {"name": "n" * 129},
        {"occurred_at": 1},
        {"occurred_at": 2**53},
    ]
    out = feed(leg(), [stored(number, **changes) for number, changes in enumerate(wrong)])
    assert said(out) == []
    assert [letter["reason"] for letter in letters(out)] == ["undecodable"] * len(wrong)


def test_a_property_that_rules_look_at_may_be_nested_as_deep_as_can_be_read() -> None:
    """Between what can be decoded and what could be written as text again lay one record that stopped the worker for ever."""
    deep = stored(1, properties={"stage": "HERE"})
    for depth in range(900, 1_010):
        value = deep.replace(b'"HERE"', b"[" * depth + b"]" * depth)
        assert len(said(feed(leg(), [stored(0), value, stored(2)]))) >= 2


def test_other_definitions_say_nothing_even_under_the_same_version() -> None:
    """What was said with them would stay in the log of `people`, and the old definitions could not read it."""
    (purchase,) = load_definitions()
    shorter = purchase.model_copy(update={"stages": purchase.stages[:-1]})
    p = leg()
    log: dict[bytes, bytes | None] = {}
    for number in (1, 2):
        p.take(Chunk("touchpoints", 0, [number], [T0], [None], [stored(number)]))
        log.update(p.collect(T0)[0])
    changed = leg(definitions=[shorter])
    changed.restore(list(log.items()))
    with pytest.raises(DefinitionsChanged, match="put the old files back"):
        feed(changed, [stored(3)])
    again = leg()
    again.restore(list(log.items()))
    assert len(said(feed(again, [stored(3)]))) == 1


def test_a_home_with_very_many_touchpoints_is_as_right_as_any_other() -> None:
    """It is kept in another way, in memory and in the changelog; also after restarts, and where that way begins."""
    log: dict[bytes, bytes | None] = {}
    events = [stored(number) for number in range(6_000)]
    for begin in range(0, len(events), 1_000):
        p = leg()
        p.restore(list(log.items()))
        part = events[begin : begin + 1_000]
        p.take(Chunk("touchpoints", 0, list(range(1_000)), [T0] * 1_000, [None] * 1_000, list(part)))
        p.take(Chunk("touchpoints", 0, [0, 1], [T0] * 2, [None] * 2, [part[0], events[0]]))
        state, out = p.collect(T0)
        log.update(state)
        assert [UUID(m.event_id).int for m in said(list(out))] == list(range(begin + 1, begin + 1_001))
    again = leg()
    again.restore(list(log.items()))
    assert said(feed(again, events[::-1])) == []
    conflicts = feed(again, [stored(number, content=7) for number in (0, 2_800, 5_999)])
    assert [letter["reason"] for letter in letters(conflicts)] == ["conflicting"] * 3


def test_a_touchpoint_costs_the_same_however_many_its_home_has() -> None:
    """One identifier that everybody shares must not stop a worker: counted in bytes that are written, not in seconds."""
    p = leg()
    feed(p, [stored(number, occurred_at=T0 + number) for number in range(4_000)])
    for at in (T0 + 5_000, T0 + 2_000, T0):  # last, in the middle, first
        p.take(Chunk("touchpoints", 0, [0], [T0], [None], [stored(9_000 + at - T0, occurred_at=at)]))
        state = p.collect(T0)[0]
        assert sum(len(value or b"") for key, value in state.items() if key[:1] in b"hH") < 60_000


def test_what_waits_for_the_answer_of_a_name_holds_back_how_far_was_read() -> None:
    """Else a deadline could pass for a customer whose touchpoint is here, but has not been given to anybody yet."""
    p = leg(4)
    p.take(Chunk("touchpoints", 3, [0], [T0], [None], [stored(1, identifiers={"anonymous_id": "a", "email": "e"})]))
    p.tick(T0 + 900, {"touchpoints": T0 + 800, "identity": T0 + 800})
    out = list(p.collect(T0)[1])
    people = [msgspec.json.decode(o.value or b"", type=PersonMessage) for o in out if o.topic == "people"]
    assert {m.at for m in people if isinstance(m, ReadTo)} == {T0 - 1}
    (asked,) = [o for o in out if o.topic == "identity"]
    assert msgspec.json.decode(asked.value or b"")["name"] == "email:e"
    answer = encode(Advert("email:e", 1, "email:e", 0, False))
    p.take(Chunk("identity", 3, [0], [T0 + 900], [None], [answer]))
    p.tick(T0 + 1_900, {"touchpoints": T0 + 1_800, "identity": T0 + 1_800})
    out = list(p.collect(T0)[1])
    assert [m.person_id for m in said(out)] == [person_id("email:e", SECRET).hex]
    people = [msgspec.json.decode(o.value or b"", type=PersonMessage) for o in out if o.topic == "people"]
    assert {m.at for m in people if isinstance(m, ReadTo)} == {T0 + 1_800}


def test_a_touchpoint_behind_a_name_that_has_not_answered_waits_with_it() -> None:
    """It would be given to who was named before, and taken away again; and not even that, were he renamed meanwhile."""
    p = leg(4)

    def told(values: list[bytes], topic: str = "touchpoints") -> list[tuple[str, bool]]:
        n = len(values)
        p.take(Chunk(topic, 3, list(range(n)), [T0] * n, [None] * n, list(values)))
        return [(m.event_id[-2:], m.record is not None) for m in said(list(p.collect(T0)[1]))]

    def seen(event: int, **who: str) -> bytes:
        return stored(event, occurred_at=T0 + event, identifiers={"anonymous_id": "a"} | who)

    assert told([seen(1, email="e")]) == []
    assert told([encode(Advert("email:e", 1, "email:e", 0, False))], "identity") == [("02", True)]
    assert told([seen(2)]) == [("03", True)]
    assert told([seen(3, email="f"), seen(4)]) == [("03", False)], "f may be whom 3 and all behind it belong to"
    answered = told([encode(Advert("email:f", 1, "email:f", 0, False))], "identity")
    assert sorted(answered) == [("03", True), ("04", True), ("05", True)]


def test_what_is_a_devices_own_stays_there_until_the_name_has_answered_and_then_moves_in_order() -> None:
    p = leg(4)

    def told(values: list[bytes], topic: str = "touchpoints") -> tuple[list[tuple[str, str]], list[str]]:
        """Whom each touchpoint was given to (`-` before: taken from), and what was said of the device."""
        n = len(values)
        p.take(Chunk(topic, 3, list(range(n)), [T0] * n, [None] * n, list(values)))
        out = list(p.collect(T0)[1])
        names = {person_id(name, SECRET).hex: name for name in ("anonymous_id:a", "email:e")}
        given = [(m.event_id[-2:], ("" if m.record else "-") + names[m.person_id]) for m in said(out)]
        rows = [msgspec.json.decode(o.value or b"", type=Identity) for o in out if o.topic == "identities"]
        return given, [names[row.person_id] for row in rows]

    def seen(event: int, **who: str) -> bytes:
        return stored(event, occurred_at=T0 + event, identifiers={"anonymous_id": "a"} | who)

    assert told([seen(1), seen(2)]) == ([("02", "anonymous_id:a"), ("03", "anonymous_id:a")], ["anonymous_id:a"])
    assert told([seen(3, email="e")]) == ([], []), "nobody loses anything while nobody gains it"
    given, device = told([encode(Advert("email:e", 1, "email:e", 0, False))], "identity")
    assert given == [
        ("02", "-anonymous_id:a"),
        ("02", "email:e"),
        ("03", "-anonymous_id:a"),
        ("03", "email:e"),
        ("04", "email:e"),
    ]
    assert device == ["email:e"]


def test_a_new_device_with_a_new_name_is_announced_once_it_is_known_whose_it_is() -> None:
    p = leg(4)
    p.take(Chunk("touchpoints", 3, [0], [T0], [None], [stored(1, identifiers={"anonymous_id": "a", "email": "e"})]))
    assert not [o for o in p.collect(T0)[1] if o.topic == "identities"]
    p.take(Chunk("identity", 3, [0], [T0], [None], [encode(Advert("email:e", 1, "email:e", 0, True))]))
    (row,) = [msgspec.json.decode(o.value or b"", type=Identity) for o in p.collect(T0)[1] if o.topic == "identities"]
    assert row.person_id == person_id("anonymous_id:a", SECRET).hex, "the name is shared: the device is its own"
