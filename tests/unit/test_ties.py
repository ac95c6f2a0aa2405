"""What makes a person one: names, devices, links, late touchpoints, causes; and how it is told."""

from __future__ import annotations

import json
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from cli import person as command
from cli import ties
from cli.ties import Link, Move, Ties, Touchpoint
from schemas.identity import DEFAULT_KINDS

MARCH, HOUR = 1_772_323_200_000, 3_600_000
ADA, BOB, OLD = UUID(int=1), UUID(int=2), UUID(int=3)


def touchpoint(number: int, received: int | None = None, revision: int = 0, **identifiers: str) -> Touchpoint:
    at = MARCH + number * HOUR
    return Touchpoint(
        UUID(int=100 + number), at, -1, f"step {number}", "shop", revision, at if received is None else received,
        identifiers,
    )  # fmt: skip


LIFE = (
    touchpoint(0, anonymous_id="a-1"),
    touchpoint(1, anonymous_id="a-1", customer_id="7"),
    touchpoint(2, customer_id="7", email="ada@example.org"),
    touchpoint(3, customer_id="7", email="ada@example.org", loyalty_id="gold"),
)
OWNERS = {
    "customer_id:7": (ADA, False),
    "email:ada@example.org": (ADA, False),
    "loyalty_id:gold": (OLD, True),
    "anonymous_id:a-1": (BOB, False),
    "device_id:d-9": (ADA, False),
}
MOVES = (
    Move(UUID(int=100), OLD, ADA, "named", MARCH + HOUR, 0, "step 0", MARCH),
    Move(UUID(int=200), ADA, BOB, "merge", MARCH + 2 * HOUR, 0, "call", MARCH),
    Move(UUID(int=201), ADA, None, "correction", MARCH + 3 * HOUR, 2, "", 0),
)


def found() -> Ties:
    names, devices = ties.ties(LIFE, OWNERS, DEFAULT_KINDS)
    shared = [tie.identifier for tie in names if tie.shared]
    return Ties(ADA, (OLD,), LIFE, names, devices, tuple(ties.links(LIFE, shared, DEFAULT_KINDS)), MOVES)


def test_names_and_devices_say_since_when_and_whose_they_are() -> None:
    names, devices = ties.ties(LIFE, OWNERS, DEFAULT_KINDS)
    assert names == (
        ("customer_id:7", 3, MARCH + HOUR, ADA, False),
        ("loyalty_id:gold", 1, MARCH + 3 * HOUR, OLD, True),
        ("email:ada@example.org", 2, MARCH + 2 * HOUR, ADA, False),
    )
    assert devices == (("anonymous_id:a-1", 2, MARCH, BOB, False), ("device_id:d-9", 0, None, ADA, False))


def test_links_are_told_by_the_first_touchpoint_and_shared_names_do_not_link() -> None:
    pair = ("customer_id:7", "email:ada@example.org")
    assert ties.links(LIFE, ["loyalty_id:gold"], DEFAULT_KINDS) == [Link(pair, 2, LIFE[2])]
    assert [link.names for link in ties.links(LIFE, [], DEFAULT_KINDS)] == [
        pair,
        ("customer_id:7", "loyalty_id:gold"),
        ("loyalty_id:gold", "email:ada@example.org"),
    ]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=12))
def test_late_is_what_arrived_after_one_that_follows_it(arrivals: list[tuple[int, int]]) -> None:
    some = [touchpoint(number, received, revision) for number, (received, revision) in enumerate(arrivals)]
    expected = sum(
        one.revision <= 1 and any(0 < later.received < one.received for later in some[place + 1 :])
        for place, one in enumerate(some)
    )
    assert ties.late(some) == expected


def test_each_touchpoint_counts_once_per_cause() -> None:
    twice = [*MOVES, MOVES[0]._replace(person=UUID(int=9))]
    corrected = [*LIFE, touchpoint(4, revision=2), touchpoint(5, revision=1), touchpoint(6, received=MARCH)]
    assert ties.restated(corrected, twice) == {"late": 4, "named": 1, "merge": 1, "correction": 2}
    assert list(ties.restated([], [MOVES[0]._replace(cause="new"), MOVES[1]])) == ["merge", "new"]
    assert ties.restated(LIFE, []) == {}


def test_it_is_told_section_by_section() -> None:
    text = "\n".join(command.lines(found()))
    assert text.startswith(f"person {ADA}: 4 touchpoints, 2026-03-01 00:00:00 to 2026-03-01 03:00:00; times in UTC\n")
    assert f"had the ids {OLD} before" in text
    assert "shared: links and names nobody" in text
    assert f"now of person {BOB}" in text
    assert (
        "customer_id:7 + email:ada@example.org  on 2 touchpoints  first 2026-03-01 02:00:00, step 2 from shop" in text
    )
    moved = text.partition("\nmoved\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split()[2:4] for line in moved] == [["from", "person"], ["to", "person"], ["to", "nobody"]]
    assert "step 0 of 2026-03-01 00:00:00" in moved[0]
    assert "1 touchpoint  merge" in text
    assert command.lines(Ties(ADA, (), (), (), (), (), ())) == [f"person {ADA}: 0 touchpoints; times in UTC"]


def test_for_programs_it_is_one_object() -> None:
    told = json.loads(json.dumps(command.as_object(found())))
    assert told["person_id"] == str(ADA)
    assert told["former_person_ids"] == [str(OLD)]
    assert told["identifiers"][1] == {
        "identifier": "loyalty_id:gold", "since": "2026-03-01T03:00:00.000Z", "touchpoints": 1, "person_id": str(OLD),
        "shared": True,
    }  # fmt: skip
    assert told["links"][0]["event_id"] == str(LIFE[2].event)
    assert [(move["cause"], move["to_person_id"]) for move in told["moves"]] == [
        ("named", str(ADA)), ("merge", str(BOB)), ("correction", None),
    ]  # fmt: skip
    assert told["restated"] == {"named": 1, "merge": 1, "correction": 1}
