"""Device by device comes to what the definition says of all touchpoints at once."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import HealthCheck, given, settings

from schemas.identity import Kinds
from schemas.resolve import Sighted, newest, resolve
from sinks.verify import batch
from sinks.verify.batch import Seen
from tests.unit.test_identity_stream import Histories, configurations, histories


def seen(touchpoints: list[Sighted]) -> Iterator[Seen]:
    """What queries/verify_homes.sql makes of touchpoints."""
    rows = []
    for one in touchpoints:
        devices = (one.weak if one.strong else one.weak[:1]) or one.strong[:1]
        for device in devices:
            at_home = device == one.home
            rows.append(Seen(device, at_home, one.event, one.at, one.sequence, one.strong, one.shared))
    yield from sorted(rows, key=lambda row: row.device)


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories(), configurations())
def test_homes_one_by_one_are_the_whole(given: Histories, kinds: Kinds) -> None:
    sent, orders = given
    touchpoints = [one.sighted(kinds) for one in sent]
    blocked = {identifier for identifier, block in dict(orders).items() if block}
    wanted = resolve(touchpoints, kinds, blocked)
    live = newest(touchpoints)
    names = batch.names({one.strong for one in live if one.strong}, kinds, blocked)
    owners: dict[bytes, str] = {}
    identities = {name: names.person.get(name, name) for name in names.known}
    for home in batch.homes(seen(live), names.person, kinds, blocked):
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
