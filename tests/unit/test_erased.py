"""What was erased does not come in again: by name up to a time, by event, whatever else may be wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import erased as module
from ingest.accept import Accepted, Rejected, accept, accept_request
from ingest.channels.files import File
from ingest.erased import Erased
from ingest.importing import chunks, letter, reader
from ingest.map import load_map
from ingest.replaying import again
from ingest.source import Source
from schemas.codec import encode
from schemas.dead_letter import Leg, dead_letter
from schemas.erasure import Erase, Gone, Hashed
from schemas.identity import DEFAULT_KINDS, person_id
from schemas.messages import Block
from tests.bad_input import as_json, good

NOON = 1_772_366_400_000  # 2026-03-01T12:00:00Z, when a `good` touchpoint occurs
HOUR, DAY = 3_600_000, 86_400_000
SHOP = Source("shop")
SECRET = b"a secret"
ADA = {"email": "Ada@Example.org "}


def order(at: int = NOON, *names: str, events: tuple[str, ...] = ()) -> bytes:
    """An order to erase, as it lies in the topic; `events` as the source calls them."""
    home = Hashed("0" * 32, 0)
    gone = [Gone(SHOP.event_id(event).replace("-", ""), home, "shop", 0) for event in events]
    return encode(Erase(f"{names} {events}", at, [person_id(name, SECRET).hex for name in names], gone))


def told(*orders: bytes | None) -> Erased:
    erased = Erased(SECRET)
    for one in orders:
        erased.hear(one)
    return erased


def of_ada(erased: Erased, source: Source = SHOP, sent: int | None = None, **changes: Any) -> tuple[str, str]:
    """The answer to a touchpoint of hers, received a day later: reason and path, both empty if it is accepted."""
    touchpoint = good(1, **{"identifiers": ADA} | changes)
    answer = accept(as_json(touchpoint), source, NOON + DAY, sent, erased=erased)
    return (answer.reason, answer.path) if isinstance(answer, Rejected) else ("", "")


BY_NAME, BY_EVENT = ("erased", "identifiers.email"), ("erased", "event_id")


@given(st.integers(-2, 2), st.integers(-2, 2), st.integers(-2, 2))
def test_a_name_is_erased_up_to_its_time_and_starts_anew_after_it(before: int, at: int, then: int) -> None:
    """Whatever was ordered first; the time of somebody else decides nothing."""
    orders = [order(NOON + before, "email:ada@example.org"), order(NOON + at, "email:ada@example.org", "customer_id:7")]
    occurred_at = f"2026-03-01T12:00:00.{then:03d}Z" if then >= 0 else f"2026-03-01T11:59:59.{1000 + then:03d}Z"
    wanted = BY_NAME if then <= max(before, at) else ("", "")
    ben = order(NOON + HOUR, "email:ben@example.org")
    for said in ([*orders, ben], [ben, *orders[::-1]], [*orders, ben, *orders]):
        assert of_ada(told(*said), occurred_at=occurred_at) == wanted


def test_any_of_the_names_is_enough_and_a_device_is_none() -> None:
    erased = told(order(NOON, "email:ada@example.org", "anonymous_id:a1"))
    assert of_ada(erased, identifiers={"anonymous_id": "a1", "customer_id": "7"} | ADA) == BY_NAME
    assert of_ada(erased, identifiers={"anonymous_id": "a1"}) == ("", "")
    assert of_ada(erased, identifiers={"anonymous_id": "a1", "customer_id": "ada@example.org"}) == ("", "")


def test_an_event_is_erased_in_every_revision_and_of_its_source_alone() -> None:
    erased = told(order(0, events=("good-1",)))
    for revision in (0, 1, 7):
        assert of_ada(erased, revision=revision, occurred_at="2026-03-02T11:00:00Z") == BY_EVENT
    assert of_ada(erased, event_id="good-2") == ("", "")
    assert of_ada(erased, Source("till")) == ("", "")


def test_the_corrected_time_counts() -> None:
    """A clock that is an hour behind: it occurred after she was erased."""
    erased = told(order(NOON + HOUR // 2, "email:ada@example.org"))
    assert of_ada(erased) == BY_NAME
    assert of_ada(erased, sent=NOON + DAY - HOUR) == ("", "")
    assert of_ada(erased, event_id=..., occurred_at="2026-03-01T12:30:00Z") == BY_NAME
    assert of_ada(erased, occurred_at=...) == ("", ""), "without a time it occurred when it came"


def test_what_is_wrong_with_it_does_not_bring_it_into_the_dead_letters() -> None:
    erased = told(order(NOON, "email:ada@example.org"), order(0, events=("good-7",)))
    wrongs: list[dict[str, Any]] = [
        {"name": 17}, {"identifiers": {"table": "4"} | ADA}, {"properties": {"note": "x" * 300_000}}, {"feedback": 3},
        {"occurred_at": "1066-10-14T12:00:00Z"}, {"occurred_at": "at noon"}, {"note": 1, "properties": {"note": 2}},
        {"identifiers": ADA | {"customer_id": "x" * 300}}, {"identifiers": ADA | {"customer_id": 7}},
    ]  # fmt: skip
    for wrong in wrongs:
        assert of_ada(told(), **wrong)[0] not in ("erased", ""), wrong
        assert of_ada(erased, **wrong) == BY_NAME, wrong
    assert of_ada(erased, event_id="good-7", identifiers={}) == BY_EVENT
    madrid = Source("shop", ZoneInfo("Europe/Madrid"))
    for local, reason in (("12:59:59", "erased"), ("13:00:01", "invalid")):
        assert of_ada(erased, madrid, occurred_at=f"2026-03-01T{local}", name=17)[0] == reason
    others: list[dict[str, Any]] = [
        {"occurred_at": "2026-03-01T13:00:00Z"}, {"occurred_at": ...}, {"identifiers": 7},
        {"identifiers": {"email": "x" * 300}}, {"event_id": 7, "identifiers": {"email": ["ada@example.org"]}},
    ]  # fmt: skip
    for other in others:
        assert of_ada(erased, **{"name": 17} | other)[0] == "invalid"
    for unreadable in (b"17", b"[]", b'{"identifiers": {"email": "ada@example.org"}'):
        answer = accept(unreadable, SHOP, NOON, erased=erased)
        assert isinstance(answer, Rejected)
        assert answer.reason != "erased"
    refusal = accept(as_json(good(1, identifiers=ADA, consent={"analytics": False})), SHOP, NOON, erased=erased)
    assert isinstance(refusal, Rejected)
    assert refusal.reason == "no_consent"


def test_in_a_request_only_hers_is_refused() -> None:
    items = [as_json(good(n, identifiers=who)) for n, who in enumerate(({"customer_id": "1"}, ADA, {"phone": "1"}))]
    erased = told(order(NOON, "email:ada@example.org"))
    first, hers, last = accept_request(items, SHOP, NOON + DAY, DEFAULT_KINDS, erased)
    assert isinstance(hers, Rejected)
    assert (hers.reason, "2026-03-01T12:00:00Z" in hers.message, "do not send it again" in hers.message) == (
        "erased", True, True,
    )  # fmt: skip
    assert [first, last] == accept_request(items[::2], SHOP, NOON + DAY)


@pytest.mark.parametrize(
    "value",
    [
        None, b"", b"{", b"17", b"\xff", b"[" * 5000, encode(Block("email:ada@example.org", True)), b'{"said": "thanks"}',
        order(NOON, "email:ada@example.org").replace(b'"at":', b'"at":"'),
        order(NOON, "email:ada@example.org", events=("a",)).replace(b'"gone":[["', b'"gone":[["x'),
        order(NOON, "email:ada@example.org").replace(b'"names":["', b'"names":["' + b"x" * 32 + b'","'),
    ],
)  # fmt: skip
def test_what_is_no_erasure_is_for_others(value: bytes | None) -> None:
    erased = told(value)
    assert not erased
    assert of_ada(erased) == ("", "")


def test_nothing_is_hashed_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []

    def counted(name: str, secret: bytes) -> UUID:
        hashed.append(name)
        return person_id(name, secret)

    monkeypatch.setattr(module, "person_id", counted)
    nothing, erased = told(), told(order(NOON - 1, "email:ben@example.org"))
    for known in (nothing, erased):
        assert of_ada(known) == ("", "")
    assert hashed == []
    assert of_ada(erased, occurred_at="2026-03-01T11:00:00Z") == ("", "")
    assert hashed == ["email:ada@example.org"]


def test_an_import_leaves_out_who_is_erased(tmp_path: Path) -> None:
    """The three kinds of files; of the refused rows no letter is made."""
    erased = told(order(NOON, "email:ada@example.org"))
    people = ["ada@example.org", "ben@example.org", "ADA@example.org"]
    sent = [good(number, identifiers={"email": name}) for number, name in enumerate(people)]
    results = (accept(as_json(one), SHOP, NOON) for one in sent)
    stored = [result.value for result in results if isinstance(result, Accepted)]
    map_file = tmp_path / "map.yaml"
    map_file.write_text(
        "{source: shop, identifiers: {email: who}, channel: {value: web}, name: {value: paid}, occurred_at: at}"
    )
    files = {
        "rows.csv": b"who,at\n" + b"".join(f"{name},2026-03-01T12:00:00Z\n".encode() for name in people),
        "sent.jsonl": b"\n".join(map(as_json, sent)),
        "stored.jsonl": b"\n".join(stored),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        mapped = name.endswith("csv")
        opened = File(str(tmp_path / name), "csv" if mapped else None)
        rules = load_map(map_file) if mapped else None
        read, rows = reader(opened, opened.rows(), rules, "shop", erased=erased)
        (chunk,) = chunks(read, rows, 0, lambda: NOON + DAY)
        opened.close()
        assert [result.key for result in chunk.accepted] == [b"email:ben@example.org"], name
        assert [(rejected.reason, rejected.path) for _, rejected in chunk.rejected] == [BY_NAME] * 2, name
        assert [letter(name, "shop", row, rejected, NOON) for row, rejected in chunk.rejected] == [None, None]


@pytest.mark.parametrize("leg", ["collector", "import", "identity"])
def test_a_dead_letter_of_who_is_erased_is_not_sent_again(leg: Leg) -> None:
    raw = as_json(good(1, identifiers=ADA))
    if leg == "identity":
        stored = accept(raw, SHOP, NOON)
        assert isinstance(stored, Accepted)
        raw = stored.value
    address = "touchpoints/0/1" if leg == "identity" else "1"
    refused = dead_letter(raw, source="shop", leg=leg, reason="invalid", message="", address=address, at=NOON + DAY)
    assert isinstance(again(refused, Source), Accepted)
    answer = again(refused, Source, DEFAULT_KINDS, told(order(NOON, "email:ada@example.org")))
    assert isinstance(answer, Rejected)
    assert answer.reason == "erased"
