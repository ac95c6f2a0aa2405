"""Erasing a person: the stream's answer is the definition's, nobody else changes hands, and no byte of a name is left."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from processors.beginning import states
from processors.erased import Erasures
from schemas.erasure import Erase, Gone, Mark, Stored, plan
from schemas.identity import DEFAULT_KINDS, Kinds, person_id
from schemas.resolve import NOTHING_ERASED, Erased, Sighted, is_erased, newest, resolve
from tests.identity_world import SECRET, Sent, World, expected, hashed
from tests.unit.test_identity_stream import Histories, configurations, histories

EXAMPLES = int(os.environ.get("EXAMPLES", "400"))
EVERYBODY = {person_id(f"{kind}:{value}", SECRET).hex: f"{kind}:{value}"
             for kind in ("customer_id", "email", "loyalty_id", "anonymous_id", "phone") for value in range(8)}  # fmt: skip


def person_of(
    sighted: Iterable[Sighted], kinds: Kinds, chance: random.Random, erased: Erased
) -> tuple[str, set[str]] | None:
    """Somebody who is known from these touchpoints, and their names."""
    resolved = resolve(sighted, kinds, (), erased)
    people = sorted(set(resolved.owners.values()))
    if not people:
        return None
    person = chance.choice(people)
    strong = set(kinds.strong)
    return person, {
        name
        for name, owner in resolved.identities.items()
        if owner == person and name.partition(":")[0] in strong and name not in resolved.shared
    }


def erasing(
    sighted: list[Sighted], kinds: Kinds, person: str, names: set[str], at: int, erased: Erased, number: int
) -> Erase:
    """What `desireline erase` orders, from what is stored."""
    resolved = resolve(sighted, kinds, (), erased)
    stored: dict[bytes, Sighted] = {}
    for one in sighted:
        if one.event not in stored or stored[one.event].revision < one.revision:
            stored[one.event] = one
    gone, marks, partners = plan(
        [
            Stored(one, "web", 1_000)
            for one in stored.values()
            if resolved.owners.get(one.event) == person or (one.at <= at and names & set(one.strong))
        ],
        names,
        resolved.shared,
        hashed,
    )
    return Erase(f"e{number}", at, [hashed(name).id for name in sorted(names)], gone, marks, partners)


def plainly(orders: Iterable[Erase], before: Erased = NOTHING_ERASED) -> Erased:
    """What the definition is told of these orders."""
    until, events, marks = dict(before.until), set(before.events), set(before.marks)
    partners = {name: set(others) for name, others in before.partners.items()}
    for order in orders:
        for name in order.names:
            until[EVERYBODY[name]] = max(order.at, until.get(EVERYBODY[name], -1))
        events |= {bytes.fromhex(one.event_id) for one in order.gone}
        marks |= {(EVERYBODY[m.device.id], (m.at, m.sequence, bytes.fromhex(m.event_id))) for m in order.marks}
        for one in order.partners:
            partners.setdefault(EVERYBODY[one.name.id], set()).add(EVERYBODY[one.partner])
    return Erased(until, events, marks, partners)


def check_ledger(run: World, sent: list[Sent], erased: Erased) -> None:
    """Everything is counted; what was erased is not `stored`, and counts as `erased` where it came once."""
    decided = run.decided()
    assert sum(decided.values()) == sum(len(log["touchpoints"]) for log in run.logs), "the ledger balances"
    sighted = [one.sighted(run.kinds) for one in sent]
    events = Counter(one.event for one in sighted)
    gone = events.keys() & set(erased.events)
    if not any(is_erased(one, erased) and one.event not in gone for one in sighted):
        assert decided.get("stored", 0) == len(events) - len(gone)
        if all(events[event] == 1 for event in gone):
            assert decided.get("erased", 0) == len(gone)


def check_erasure(given: Histories, kinds: Kinds, seed: int, **world: Any) -> World:
    """Touchpoints and orders before, among and behind erasures of somebody who was known by then."""
    sent, orders = given
    chance = random.Random(seed)
    erased, erases = NOTHING_ERASED, []
    for number in range(2):
        known = [one.sighted(kinds) for one in sent[: chance.choice((len(sent), chance.randint(1, len(sent))))]]
        found = person_of(known, kinds, chance, erased)
        if found is None:
            continue
        at = 10**12 + chance.randint(0, 12)
        erases.append(erasing(known, kinds, *found, at, erased, number))
        erased = plainly(erases[-1:], erased)
        gone = {bytes.fromhex(one.event_id) for one in erases[-1].gone}
        back = [one for one in sent if one.sighted(kinds).event in gone and chance.random() < 0.5]
        sent = sent + [
            replace(one, event=one.event + 20 * (number + 1), at=max(one.at, at + chance.randint(1, 3))) for one in back
        ]
    run = World(kinds, seed, kafka=True, **world)
    run.send(chance.sample(sent, len(sent)))
    commands: list[tuple[str, bool] | Erase] = [*orders]
    for order in erases:
        commands.insert(chance.randint(0, len(commands)), order)
    for command in commands:
        run.run(turns=chance.choice((0, 1, 5, 20, 100)))
        if isinstance(command, Erase):
            run.erase(command)
            if chance.random() < 0.2:  # who orders does not know whether it was taken, and says it again
                run.erase(command)
        else:
            run.order(*command)
    run.run()
    newest_order = dict(orders)
    owners, resolved = expected(sent, kinds, [i for i, block in newest_order.items() if block], erased)
    assert run.owners() == owners
    for identifier, person in resolved.identities.items():
        row = run.identities[identifier]
        assert row.person_id == person_id(person, SECRET).hex, (identifier, person)
        assert row.shared == (identifier in resolved.shared), identifier
    check_ledger(run, sent, erased)
    later = {
        name
        for one in (one.sighted(kinds) for one in sent)
        for name in one.strong
        if one.at > erased.until.get(name, -1) or one.event not in erased.events
    }
    once = Counter(one.event for one in sent)
    seen = {
        device
        for one in sent
        for device in one.sighted(kinds).weak
        if once[one.event] > 1 or one.sighted(kinds).event not in erased.events
    }
    devices = {device for one in sent for device in one.sighted(kinds).weak}
    for identifier in (erased.until.keys() - later | devices - seen) - newest_order.keys():
        assert identifier not in run.identities, identifier
        for number, state in enumerate(run.states):
            held = [key for key, value in state.items() if identifier.encode() in key + b"|" + value]
            assert not held, (number, identifier, held)
    return run


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories(), configurations(), st.integers(0, 2**32))
def test_the_stream_forgets_as_the_definition_says(given: Histories, kinds: Kinds, seed: int) -> None:
    check_erasure(given, kinds, seed)


@settings(max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories(), configurations(), st.integers(0, 2**32))
def test_a_generation_that_begins_with_an_erasure_never_says_the_name(
    given: Histories, kinds: Kinds, seed: int
) -> None:
    sent, sighted = given[0], [one.sighted(kinds) for one in given[0]]
    found = person_of(sighted, kinds, random.Random(seed), NOTHING_ERASED)
    assume(found is not None)
    assert found is not None
    order = erasing(sighted, kinds, *found, 2 * 10**12, NOTHING_ERASED, 0)
    run = World(kinds, seed, kafka=True)
    for state, begun in zip(run.states, states([order], run.partitions), strict=True):
        state |= {key: value for key, value in begun.items() if value is not None}
    run.erase(order)
    run.send(random.Random(seed).sample(sent, len(sent)))
    run.run()
    erased = plainly([order])
    owners, _ = expected(sent, kinds, (), erased)
    assert run.owners() == owners
    assert not run.announced & erased.until.keys()


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories(), configurations(), st.integers(0, 2**32))
def test_nobody_else_changes_hands(given: Histories, kinds: Kinds, seed: int) -> None:
    """What was not the erased person's is whose it was; what was is nobody's.

    But for one thing (docs/contract.md): a touchpoint that carries a name of theirs and is another's, for between the two are
    more links than `max_hops`. It is erased, and what only it explained is the device's own then: never a third person's.
    """
    sighted = [one.sighted(kinds) for one in given[0]]
    before = resolve(sighted, kinds)
    found = person_of(sighted, kinds, random.Random(seed), NOTHING_ERASED)
    assume(found is not None)
    assert found is not None
    person, names = found
    after = resolve(
        sighted, kinds, (), plainly([erasing(sighted, kinds, person, names, 2 * 10**12, NOTHING_ERASED, 0)])
    )
    live = {one.event: one for one in newest(sighted)}
    carried = {event for event, one in live.items() if names & set(one.strong)}
    torn = {before.owners[event] for event in carried} - {person}
    stays = {e: who for e, who in before.owners.items() if who != person and e not in carried}
    assert after.owners.keys() == stays.keys()
    for event, who in stays.items():
        assert after.owners[event] == who or (who in torn and after.owners[event] == live[event].weak[0])
    assert person not in after.owners.values()
    for identifier, owner in after.identities.items():
        known = before.identities[identifier]
        assert owner == known or known == person or (known in torn and owner == identifier)


def test_what_only_anothers_touchpoint_with_an_erased_name_explained_is_the_devices_own() -> None:
    """The corner of the test above, by itself."""
    kinds = DEFAULT_KINDS.model_copy(update={"max_hops": 1})
    names = ("customer_id:1", "email:0", "customer_id:2")  # customer 2 is two links away from customer 1
    sighted = [
        Sighted(b"a" * 16, 1_000, names[:2], ()),
        Sighted(b"b" * 16, 2_000, (names[2], names[1]), ("anonymous_id:0",)),
        Sighted(b"c" * 16, 3_000, (), ("anonymous_id:0",)),
    ]
    before = resolve(sighted, kinds)
    assert before.owners[b"c" * 16] == "customer_id:2"
    order = erasing(sighted, kinds, "customer_id:1", set(names[:2]), 2 * 10**12, NOTHING_ERASED, 0)
    assert resolve(sighted, kinds, (), plainly([order])).owners == {b"c" * 16: "anonymous_id:0"}


def test_a_sighting_that_was_kept_is_not_lost_to_an_order_that_knows_of_none() -> None:
    device, event = hashed("anonymous_id:0"), f"{1:032x}"
    erased = Erasures(lambda identifier: person_id(identifier, SECRET).bytes)
    erased.mark([], [Mark(device, 10**12, 3, event)])
    kept = dict(erased.marks("anonymous_id:0"))
    assert not erased.mark([Gone(event, device, "web", 1_000)], [Mark(device, 0, -1, event)])
    assert erased.marks("anonymous_id:0") == kept
