"""Blocking and reviewing identifiers: what is one, and what is said about those that link too much."""

from __future__ import annotations

from uuid import UUID

import pytest
import typer

from cli import identifiers, partners
from cli.partners import Large, Seen
from schemas.identity import DEFAULT_KINDS


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (" email: Info@Example.COM ", "email:info@example.com"),
        ("phone:0049 30 123456", "phone:+4930123456"),
        ("customer_id:urn:7", "customer_id:urn:7"),
    ],
)
def test_an_identifier_is_blocked_in_its_normal_form(given: str, stored: str) -> None:
    assert identifiers.named(given, DEFAULT_KINDS) == stored


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("info@example.com", "write KIND:VALUE"),
        ("mail:info@example.com", "'mail' is not a kind of identifier: choose one of customer_id, loyalty_id, email"),
        ("email:  ", "nothing is left of"),
        ("customer_id:Guest", "such a value means nobody"),
        ("", "write KIND:VALUE"),
    ],
)
def test_what_is_no_identifier_is_said_in_one_sentence(
    given: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended:
        identifiers.named(given, DEFAULT_KINDS)
    assert ended.value.exit_code == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_a_review_says_why_and_which() -> None:
    shared = [Seen("email:info@example.com", 31, 400), Seen("loyalty_id:x", 2, 5)]
    large = [Large(UUID(int=7), 60, 1_200, (Seen("email:family@example.org", 19, 300),))]
    first, _, many, blocked, person, _, worst = partners.lines(shared, large, max_links=20)
    assert first == "shared: they link and name nobody"
    assert many.split() == ["email:info@example.com", "31", "400", "more", "than", "20", "partners"]
    assert blocked.split()[-1] == "blocked"
    assert person == f"person {UUID(int=7)}: 60 identifiers, 1,200 touchpoints"
    assert worst.split() == ["email:family@example.org", "19", "300"]
    assert partners.lines([], [], 20) == ["nothing to review: no shared identifier, no customer with more than 50"]
