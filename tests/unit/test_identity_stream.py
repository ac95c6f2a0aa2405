"""The stream's answer is the definition's: random touchpoints, revisions, retractions, blocks, orders, repeats, crashes."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import processors
from processors import homes, timeline
from schemas.identity import Kinds, person_id
from tests.identity_world import SECRET, Sent, World, expected
from tests.prove.identity_faults import ERASURE_FAULTS, FAULTS

MIXES = [
    "customer_id", "email", "loyalty_id", "anonymous_id", "anonymous_id", "phone", "anonymous_id email",
    "anonymous_id customer_id", "customer_id email", "email loyalty_id", "anonymous_id phone",
    "anonymous_id phone email", "customer_id loyalty_id email", "anonymous_id customer_id email", "phone customer_id",
    "phone anonymous_id customer_id",
]  # fmt: skip
STRONG = ("customer_id", "loyalty_id", "email")
EXAMPLES = int(os.environ.get("EXAMPLES", "400"))


@st.composite
def configurations(draw: st.DrawFn) -> Kinds:
    look_back = draw(st.integers(1, 6))
    names = (*STRONG, "anonymous_id", "phone")
    return Kinds(
        kinds=[{"name": n, "strong": n in STRONG, "look_back": f"{look_back + 2 * (n == 'phone')}ms"} for n in names],
        max_links=draw(st.sampled_from([1, 2, 3, 20])),
        max_hops=draw(st.sampled_from([1, 2, 3, 8])),
        shared_sources=["kiosk"],
        shared_look_back=f"{draw(st.integers(1, 3))}ms",
    )


Histories = tuple[list[Sent], list[tuple[str, bool]]]


@st.composite
def histories(draw: st.DrawFn) -> Histories:
    """Touchpoints and orders with few identifiers and few instants, so that everything collides."""
    values, horizon = draw(st.integers(0, 3)), draw(st.sampled_from([0, 3, 10]))
    sent: list[Sent] = []

    def one(event: int, revision: int, like: Sent | None) -> Sent:
        kinds = draw(st.sampled_from(MIXES)).split()
        found = {kind: str(draw(st.integers(0, values))) for kind in kinds}
        if like is not None and draw(st.booleans()):  # a correction mostly changes one identifier
            found = dict(like.identifiers)
            changed = draw(st.sampled_from(sorted(found)))
            found[changed] = str(draw(st.integers(0, values)))
        return Sent(
            event,
            1 + draw(st.integers(0, horizon)) + 10**12,
            tuple(sorted(found.items())),
            revision,
            draw(st.sampled_from([None, None, 0, 1])),
            source=draw(st.sampled_from(["web", "web", "kiosk"])),
        )

    for event in range(1, draw(st.integers(1, 12)) + 1):
        if draw(st.integers(0, 9)) < 7:  # final: may still be retracted by naming its identifiers
            fresh = one(event, 0, None)
            if sent and draw(st.integers(0, 2)) == 0:  # most touchpoints say nothing new
                fresh = replace(fresh, identifiers=draw(st.sampled_from(sent)).identifiers)
            sent.append(fresh)
            if draw(st.integers(0, 5)) == 0:
                sent.append(Sent(event, sent[-1].at, sent[-1].identifiers, 1, sent[-1].sequence, retracted=True))
        else:
            last: Sent | None = None
            for revision in sorted(draw(st.sets(st.integers(1, 4), min_size=1, max_size=3))):
                last = one(event, revision, last)
                if draw(st.integers(0, 4)) == 0:
                    last = Sent(**{**vars(last), "retracted": True})
                sent.append(last)
    orders = [
        (f"{draw(st.sampled_from([*STRONG[:2], 'anonymous_id']))}:{draw(st.integers(0, values))}", draw(st.booleans()))
        for _ in range(draw(st.sampled_from([0, 0, 1, 3])))
    ]
    return sent, orders


def check(given: Histories, kinds: Kinds, seed: int, **world: Any) -> World:
    """Whatever happens on the way, the people are those of the definition; also after everything turned up again."""
    sent, orders = given
    run = World(kinds, seed, **world)
    run.send(random.Random(seed).sample(sent, len(sent)))
    chance = random.Random(seed + 1)
    for identifier, block in orders:  # before, among and behind the touchpoints
        run.run(turns=chance.choice((0, 1, 5, 20, 100)))
        run.order(identifier, block)
    newest = dict(orders)
    owners, resolved = expected(sent, kinds, [identifier for identifier, block in newest.items() if block])
    for again in (0.0, 0.5):
        run.resend(again)
        run.run()
        assert run.owners() == owners
        for identifier, person in resolved.identities.items():
            row = run.identities[identifier]
            assert row.person_id == person_id(person, SECRET).hex, (identifier, person)
            assert row.shared == (identifier in resolved.shared), identifier
        newest_revision = {f"{one.event:032x}": one.revision for one in sorted(sent, key=lambda one: one.revision)}
        for owned in run.people.values():
            for event, assigned in owned.items():
                if assigned.record is not None:
                    assert assigned.revision == newest_revision[event]
    read = sum(len(log["touchpoints"]) for log in run.logs)
    decided = run.decided()
    assert sum(decided.values()) == read, "the ledger balances"
    assert decided.get("stored", 0) == len({one.event for one in sent})
    return run


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories(), configurations(), st.integers(0, 2**32))
def test_the_stream_equals_the_definition(given: Histories, kinds: Kinds, seed: int) -> None:
    check(given, kinds, seed)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories(), configurations(), st.integers(0, 2**32))
def test_homes_of_many_segments_are_as_right_as_others(given: Histories, kinds: Kinds, seed: int) -> None:
    """Segments that take two records only, so that nearly every home has several, as a kiosk has."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(timeline, "SEGMENT", 2 * timeline.SIZE)
        patched.setattr(homes, "_FULL", timeline.START)
        check(given, kinds, seed)


def test_every_planted_fault_can_still_be_planted() -> None:
    """They are told by the text that they change: who changes that text changes the fault with it."""
    for name, (module, stands, fault) in (FAULTS | ERASURE_FAULTS).items():
        text = (Path(processors.__path__[0]) / f"{module}.py").read_text(encoding="utf-8")
        assert text.count(stands) == 1, f"{name}: {module} has it {text.count(stands)} times"
        compile(text.replace(stands, fault), name, "exec")
