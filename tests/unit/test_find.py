"""Whom somebody means; and that whom they mean stands in no text of a query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import ties
from people import find
from people.find import Found, Owner, Refused
from schemas.identity import DEFAULT_KINDS, Kinds
from sinks.reader import Answer, Given

ADA, BOB = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("customer_id:42", ["customer_id:42"]),
        (" email:Ada@Example.COM ", ["email:ada@example.com"]),
        ("phone:0052 55 1", ["phone:+52551"]),
        ("phone:none", []),
        ("", []),
    ],
)
def test_an_identifier_with_its_kind_means_one(text: str, meant: list[str]) -> None:
    assert find.candidates(text) == meant


def test_without_a_kind_it_is_looked_up_over_all_kinds() -> None:
    assert {"customer_id:42", "email:42", "phone:42"} < set(find.candidates("42"))
    assert "phone:" not in "".join(find.candidates("Ada"))
    assert "customer_id:urn:7" in find.candidates("urn:7"), "a colon alone is no kind"


def test_the_kinds_are_those_that_are_configured() -> None:
    kinds = Kinds.model_validate({"kinds": [{"name": "table"}, {"name": "phone"}], "phone_region": "MX"})
    assert find.candidates("table:7", kinds) == ["table:7"]
    assert find.candidates("55 1234 5678", kinds) == ["table:55 1234 5678", "phone:+525512345678"]
    assert find.candidates("email:A@b.c", kinds) == ["table:email:A@b.c"], "not a kind here"


@given(st.text(max_size=40))
def test_any_text_is_an_answerable_question(text: str) -> None:
    for candidate in find.candidates(text):
        kind, colon, value = candidate.partition(":")
        assert (kind in DEFAULT_KINDS.names, colon, bool(value)) == (True, ":", True)
    assert find.as_person(text) is None or UUID(text.strip())


@pytest.mark.parametrize(
    ("owners", "meant"),
    [
        ([Owner("email:a", ADA, BOB, False)], Found(ADA, "email:a", "name")),
        ([Owner("phone:+52", ADA, BOB, False)], Found(ADA, "phone:+52", "last_seen_on")),
        ([Owner("phone:+52", BOB, BOB, False)], Found(BOB, "phone:+52", "device")),
        (
            [Owner("phone:7", ADA, BOB, False), Owner("customer_id:7", ADA, ADA, False)],
            Found(ADA, "customer_id:7", "name"),
        ),
        (
            [Owner("phone:7", ADA, BOB, False), Owner("customer_id:7", BOB, BOB, True)],
            Found(ADA, "phone:7", "last_seen_on"),
        ),
    ],
)
def test_the_most_trusted_identifier_that_names_somebody_says_who(owners: list[Owner], meant: Found) -> None:
    assert find.meant("7", owners) == meant


def test_who_is_nobody_in_particular_is_said_with_what_helps() -> None:
    several = find.meant("7", [Owner("customer_id:7", ADA, ADA, False), Owner("loyalty_id:7", BOB, BOB, False)])
    assert several == Refused("ambiguous", "this is more than one person's; say which: customer_id:7, loyalty_id:7")
    shared = find.meant("x", [Owner("email:x", ADA, ADA, True)])
    assert isinstance(shared, Refused)
    assert shared.reason == "shared"
    unknown = find.meant("x", [])
    assert isinstance(unknown, Refused)
    assert unknown.reason == "unknown"
    assert find.meant(str(ADA), []) == Found(ADA, "", "person_id")


class _Listening:
    """A reader that keeps the texts of its queries, with the parameters that ClickHouse writes into them."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.given: list[Any] = []

    def ask(self, sql: str, parameters: Mapping[str, Any] | None = None, given: Iterable[Given] = ()) -> Answer:
        self.texts.append(f"{sql} {dict(parameters or {})}")
        self.given += [value for one in given for value in one.values]
        touchpoint = (ADA, 1, -1, "cart", "web", 0, 1, {"email": "ada@example.org"})
        return Answer((), [touchpoint] if "facts.identifiers" in sql else [])


def test_identifiers_do_not_stand_in_the_texts_of_queries_which_servers_log() -> None:
    reader: Any = _Listening()
    find.find(reader, find.candidates("ada@example.org"))
    find.similar(reader, "email:ada@example.org")
    ties.read(reader, ADA, DEFAULT_KINDS)
    assert reader.given.count("email:ada@example.org") == 2
    assert "ada@example.org" in reader.given
    assert not [text for text in reader.texts if "ada" in text]
