"""Device by device comes to what the definition says of all touchpoints at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import resolve as definition
from schemas.erasure import Erase, Gone, Hashed, Mark, Partner
from schemas.identity import Kinds, person_id
from schemas.resolve import Sighted, newest, resolve
from sinks.verify import batch
from sinks.verify.batch import Seen
from sinks.verify.erased import Erased
from tests.unit.test_identity_stream import STRONG, Histories, configurations, histories

SECRET = b"a secret"
BEGIN = 10**12  # where the histories begin, ms


def seen(touchpoints: list[Sighted], erased: Erased) -> Iterator[Seen]:
    """What queries/verify_homes.sql makes of touchpoints, without those that are erased."""
    rows = []
    for one in touchpoints:
        devices = (one.weak if one.strong else one.weak[:1]) or one.strong[:1]
        for device in devices:
            if not erased.takes(one.event, one.at, one.strong):
                at_home = device == one.home
                rows.append(Seen(device, at_home, one.event, one.at, one.sequence, one.strong, one.shared))
    yield from sorted(rows, key=lambda row: row.device)


values = st.sampled_from([0, 0, 0, 1, 2, 3])  # as the histories have them, mostly few
names = st.builds("{}:{}".format, st.sampled_from(STRONG), values)
devices = st.builds("{}:{}".format, st.sampled_from(("anonymous_id", "phone")), values)
moments = st.sampled_from([BEGIN + 1, BEGIN + 1, *range(BEGIN, BEGIN + 12)])
events = st.integers(1, 12).map(lambda number: number.to_bytes(16, "big"))
erasures = st.builds(
    definition.Erased,
    st.dictionaries(names, moments, max_size=2),
    st.frozensets(events, max_size=2),
    st.lists(st.tuples(devices, st.tuples(moments, st.integers(-1, 1), events)), max_size=4),
    st.dictionaries(names, st.sets(names, max_size=3), max_size=4),
)


def hashed(identifier: str) -> Hashed:
    return Hashed(person_id(identifier, SECRET).hex, 0)


def ordered(erased: definition.Erased) -> Erased:
    """The same as operators order it: one for what is kept of all, and one for each name, later overtaken by a shorter one."""
    whole = Erase(
        "all",
        0,
        [],
        [Gone(event.hex(), hashed("phone:0"), "", 0) for event in erased.events],
        [Mark(hashed(device), at, sequence, event.hex()) for device, (at, sequence, event) in erased.marks],
        [Partner(hashed(name), hashed(other).id) for name, others in erased.partners.items() for other in others],
    )
    each = [
        Erase(f"{name} up to {at}", at, [hashed(name).id], [])
        for name, until in erased.until.items()
        for at in (until, until - 1)
    ]
    return Erased(SECRET, [whole, *each])


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories(), configurations(), st.just(definition.NOTHING_ERASED) | erasures)
def test_homes_one_by_one_are_the_whole(given: Histories, kinds: Kinds, erased: definition.Erased) -> None:
    sent, orders = given
    touchpoints = [one.sighted(kinds) for one in sent]
    blocked = {identifier for identifier, block in dict(orders).items() if block}
    wanted = resolve(touchpoints, kinds, blocked, erased)
    stored, gone = newest(touchpoints), ordered(erased)
    combinations = {one.strong for one in stored if one.strong and not gone.takes(one.event, one.at, one.strong)}
    names = batch.names(combinations, kinds, blocked, gone)
    owners: dict[bytes, str] = {}
    identities = {name: names.person.get(name, name) for name in names.known}
    for home in batch.homes(seen(stored, gone), names.person, kinds, blocked, gone):
        for one, owner in home.owned:
            assert one.event not in owners
            owners[one.event] = owner
        if home.person is not None:
            identities[home.device] = home.person
    assert owners == wanted.owners
    assert identities == wanted.identities
    devices = identities.keys() - set(names.known)
    assert (set(names.known) - names.person.keys()) | (devices & blocked) == wanted.shared


def test_a_name_with_very_many_partners_keeps_few_of_them() -> None:
    kinds = Kinds(kinds=[{"name": "customer_id", "strong": True}, {"name": "email", "strong": True}], max_links=2)
    found = batch.names([("customer_id:1", f"email:{n}") for n in range(100)], kinds, ())
    assert "customer_id:1" not in found.person
    assert len(found.known) == 101
    assert found.person["email:7"] == "email:7"


def test_an_erasure_with_an_id_that_is_none_is_none() -> None:
    name = "email:ada@example.org"
    with pytest.raises(ValueError, match="hex"):
        Erase("1", BEGIN, [hashed(name).id], [Gone("x" * 32, hashed(name), "shop", 0)])
    right = Erased(SECRET, [Erase("2", BEGIN, [hashed(name).id], [])])
    assert right.takes(bytes(16), BEGIN, [name])
    assert not right.takes(bytes(16), BEGIN + 1, [name])
    assert not right.takes(bytes(16), BEGIN, ["email:ben@example.org"])
