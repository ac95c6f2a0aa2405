"""The pure parts of an erasure: which dead letters speak of somebody, what is ordered, until when the logs remember."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from runtime.kafka import partition_of, place_of
from schemas.erasure import Stored
from schemas.identity import DEFAULT_KINDS, person_id
from schemas.resolve import Sighted
from sinks.erasing import order, until
from sinks.erasing.letters import Letter, Wanted, carries
from sinks.erasing.order import Order, records
from sinks.erasing.who import Identifiers, People

ADA, BOB = UUID(int=1), UUID(int=2)
IDENTIFIERS = Identifiers(DEFAULT_KINDS, b"test")
WANTED = Wanted(["email:ada@example.org", "customer_id:42", "phone:+525512345678", "customer_id:ada-1"], DEFAULT_KINDS)
DAY = 86_400_000


@pytest.mark.parametrize(
    ("record", "said", "found"),
    [
        (json.dumps({"identifiers": {"email": " ADA@Example.org"}}), "", "email:ada@example.org"),
        (json.dumps({"identifiers": {"customer_id": 42}}), "", "customer_id:42"),
        (json.dumps({"identifiers": {"phone": "+52 55 1234 5678"}}), "", "phone:+525512345678"),
        ('{"email": "ada@example.org", oops', "", "email:ada@example.org"),
        ("Ada@example.org;checkout;;", "", "email:ada@example.org"),
        ("{}", "'ada@example.org' is no number", "email:ada@example.org"),
        ('{"customer_id": "42", oops', "", "customer_id:42"),
        ("customer_id=42;x", "", "customer_id:42"),
        ('{"customer_id": "ADA-1", oops', "", "customer_id:ada-1"),
        (json.dumps({"identifiers": {"customer_id": "7"}, "score": 42}), "at byte 42", None),
        (json.dumps({"identifiers": {"email": "nevada@example.org"}}), "", None),
        (json.dumps({"identifiers": {"email": "ada@example.org.mx"}}), "", None),
        ('{"customer_id": "420", oops', "", None),
        ('{"identifiers": ["email"]}', "", None),
        ("[[[[", "", None),
    ],
)
def test_a_dead_letter_is_found_by_whom_it_names(record: str, said: str, found: str | None) -> None:
    assert carries(Letter("1", "shop", record, said, 0), WANTED) == found


def stored(number: int, strong: tuple[str, ...], weak: tuple[str, ...] = ("anonymous_id:kiosk",)) -> Stored:
    return Stored(Sighted(number.to_bytes(16, "big"), number, strong, weak), "shop", number)


def test_an_order_names_nobody_and_leads_to_the_partitions_of_those_it_means() -> None:
    people = People({ADA: frozenset({"email:ada@example.org"})})
    touchpoints = [stored(1, ("email:ada@example.org", "email:all@example.org")), stored(2, ())]
    (one,) = records(Order("e", 9, "me", "request"), people, {ADA: touchpoints}, {"email:all@example.org"}, IDENTIFIERS)
    assert (one.erasure_id, one.at, one.by, one.reason) == ("e.1", 9, "me", "request")
    assert one.names == [person_id("email:ada@example.org", b"test").hex]
    assert [gone.event_id for gone in one.gone] == [f"{number:032x}" for number in (1, 2)]
    assert [gone.home.place % 8 for gone in one.gone] == [partition_of(b"anonymous_id:kiosk", 8)] * 2
    assert [mark.event_id for mark in one.marks] == [f"{1:032x}"]
    assert [(left.name.place, left.partner) for left in one.partners] == [
        (place_of(b"email:all@example.org"), person_id("email:ada@example.org", b"test").hex)
    ]


def test_whoever_has_much_comes_in_parts_each_with_all_the_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "AT_ONCE", 10)
    names = {ADA: frozenset({"email:a@example.org", "customer_id:a"}), BOB: frozenset({"customer_id:b"})}
    touchpoints = {ADA: [stored(number, ("customer_id:a",)) for number in range(25)], BOB: [stored(30, ())]}
    found = records(Order("e", 9, "", ""), People(names), touchpoints, (), IDENTIFIERS, 4)
    assert [one.erasure_id for one in found] == ["e.4", "e.5", "e.6", "e.7"][: len(found)]
    assert sorted(gone.event_id for one in found for gone in one.gone) == sorted(
        f"{number:032x}" for number in (*range(25), 30)
    )
    for one in found:
        hers = [gone for gone in one.gone if int(gone.event_id, 16) < 25]
        assert len(one.names) + len(one.gone) <= 13
        assert not hers or {IDENTIFIERS.own(name).hex for name in names[ADA]} <= set(one.names)


def test_who_has_only_names_is_ordered_too() -> None:
    people = People({ADA: frozenset({"customer_id:a"})})
    (one,) = records(Order("e", 9, "", ""), people, {}, (), IDENTIFIERS)
    assert (len(one.names), one.gone) == (1, [])
    assert records(Order("e", 9, "", ""), People({ADA: frozenset()}), {}, (), IDENTIFIERS) == []


def test_a_busy_log_keeps_a_record_until_its_segment_is_closed_and_old() -> None:
    config = {"retention.ms": 7 * DAY, "segment.ms": DAY, "max.compaction.lag.ms": DAY, "delete.retention.ms": DAY}
    assert until.log_ms(config) == 8 * DAY + until.LOOKS_MS
    assert until.compacted_ms(config) == 5 * DAY + 2 * until.LOOKS_MS
    assert until.log_ms(config | {"retention.ms": -1}) > 1000 * 365 * DAY
    assert until.compacted_ms(config | {"max.compaction.lag.ms": 2**63 - 1}) > 1000 * 365 * DAY
