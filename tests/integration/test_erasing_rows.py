"""What an erasure finds and deletes in ClickHouse, on known rows: all of one person, and nothing of anybody else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import msgspec
import pytest

from schemas.codec import encode
from schemas.dead_letter import dead_letter
from schemas.identity import DEFAULT_KINDS
from schemas.late import late
from schemas.person import Assigned, Identity
from sinks.erasing import find, remove, who
from sinks.erasing.who import Identifiers, NotErasable, People
from sinks.migrate import FOLDER
from sinks.reader import connect, reader
from tests.integration.conftest import Tables
from tests.sink_records import MARCH, assigned, identifier, journey, touchpoint

pytestmark = pytest.mark.integration

IDENTIFIERS = Identifiers(DEFAULT_KINDS, b"test")
ADA, BOB, KIOSK = (IDENTIFIERS.own(name) for name in ("customer_id:ada", "customer_id:bob", "anonymous_id:kiosk"))
LATER = MARCH + 3_600_000
ADAS = {"customer_id": "ada", "email": "ada@example.org"}
EVENTS = {number: identifier("event", number) for number in range(20)}


def whose(name: str, person: UUID, *, version: int = 1, shared: bool = False) -> bytes:
    return encode(Identity(name, person.hex, IDENTIFIERS.own(name).hex, MARCH, version, shared))


def is_of(number: int, person: UUID, **changes: Any) -> bytes:
    said = msgspec.json.decode(assigned(number, **changes))
    return encode(said | {"person_id": person.hex})


def letter(number: int, record: bytes, leg: Any = "collector") -> bytes:
    return encode(
        dead_letter(record, source="shop", leg=leg, reason="invalid", message="", address=f"r/{number}", at=MARCH)
    )


@pytest.fixture
def shop(tables: Tables) -> Tables:
    """Ada and Bob at a kiosk, both with the shop's own address; a call of Bob's that was Ada's at first; a retraction."""
    all_of_them = {"email": "shop@example.org"}
    tables.write("touchpoints", [
        touchpoint(0, identifiers={"anonymous_id": "kiosk"}, stream="kiosk", sequence=0),
        touchpoint(1, identifiers=ADAS | {"anonymous_id": "kiosk"}, stream="kiosk", sequence=1),
        touchpoint(2, identifiers={"customer_id": "bob", "anonymous_id": "kiosk"}, stream="kiosk", sequence=2),
        touchpoint(3, identifiers={"customer_id": "ada"} | all_of_them, stream="s3", sequence=0),
        touchpoint(4, identifiers={"customer_id": "bob"} | all_of_them, stream="s4", sequence=0),
        touchpoint(5, identifiers={"customer_id": "ada", "phone": "+525512345678"}, revision=1, sequence=None),
        touchpoint(6, identifiers={"customer_id": "ada", "anonymous_id": "hers"}, revision=1, sequence=None),
        touchpoint(7, identifiers={"anonymous_id": "hers"}, sequence=None),
        touchpoint(8, identifiers={"anonymous_id": "kiosk"}, stream="kiosk", sequence=3),
    ])  # fmt: skip
    tables.write("touchpoints", [
        touchpoint(5, identifiers={"customer_id": "bob", "phone": "+525512345678"}, revision=2, sequence=None),
        touchpoint(6, identifiers={"customer_id": "ada", "anonymous_id": "hers"}, revision=2, sequence=None, retracted=True),
    ], first_offset=20)  # fmt: skip
    tables.write("people", [
        is_of(0, KIOSK), is_of(0, KIOSK, gone=True, move=1), is_of(0, ADA, move=1, cause="named"),
        is_of(1, ADA), is_of(2, BOB), is_of(3, ADA), is_of(4, BOB),
        is_of(5, ADA, revision=1), is_of(5, ADA, revision=2, gone=True), is_of(5, BOB, revision=2),
        is_of(6, ADA, revision=1), is_of(6, ADA, revision=2, gone=True), is_of(7, ADA), is_of(8, BOB),
    ])  # fmt: skip
    tables.write("identities", [
        whose("customer_id:ada", ADA), whose("email:ada@example.org", ADA), whose("customer_id:bob", BOB),
        whose("email:shop@example.org", IDENTIFIERS.own("email:shop@example.org"), shared=True),
        whose("anonymous_id:kiosk", ADA), whose("anonymous_id:kiosk", BOB, version=2),
        whose("anonymous_id:hers", ADA), whose("phone:+525512345678", BOB),
    ])  # fmt: skip
    tables.write("dead_letters", [
        letter(0, encode({"identifiers": {"email": "Ada@example.org"}, "stream": "kiosk", "sequence": 4})),
        letter(1, b"ada@example.org, oops"), letter(2, b"bob@example.org, oops"), letter(3, b"{}", "identity"),
    ])  # fmt: skip
    tables.write("touchpoints", [touchpoint(9, identifiers={"anonymous_id": "kiosk"}, stream="kiosk", sequence=5)])
    tables.write("people", [is_of(9, BOB)])
    tables.write("late", [
        encode(late(msgspec.json.decode(said, type=Assigned), MARCH))
        for said in (is_of(0, KIOSK, gone=True, move=1), is_of(5, ADA, revision=2, gone=True), is_of(7, ADA), is_of(8, BOB))
    ])  # fmt: skip
    tables.write("journeys", [
        encode(msgspec.json.decode(journey(number)) | {"person_id": person.hex})
        for number, person in enumerate((ADA, BOB))
    ])  # fmt: skip
    with connect(tables.settings) as client:
        client.execute(
            "INSERT INTO follow_ups (event_id, number, state, by) VALUES",
            [(EVENTS[number], 1, "taken", "ann") for number in (0, 2)],
        )
    return tables


@pytest.fixture
def client(shop: Tables) -> Iterator[Any]:
    with connect(shop.settings) as one:
        yield one


def everything(shop: Tables) -> dict[str, list[tuple[Any, ...]]]:
    return {table: sorted(shop.ask(f"SELECT * FROM {table}"), key=str) for table in remove.TABLES}


def looked(shop: Tables, person: UUID = ADA) -> tuple[People, find.Facts, list[find.Row]]:
    with reader(shop.settings) as one:
        people = who.with_names(one, {person: ()}, IDENTIFIERS)
        facts = find.facts(one, people, IDENTIFIERS, LATER)
        return people, facts, list(find.all_rows(one, people, IDENTIFIERS, facts, LATER))


def test_one_person_goes_and_nobody_else_loses_a_row(shop: Tables, client: Any) -> None:
    before = everything(shop)
    ledger = "SELECT sum(sent), sum(rejected), sum(erased), sum(missing) FROM v_ledger"
    assert shop.ask(ledger) == [(3, 3, 0, 0)]
    _, facts, rows = looked(shop)
    assert set(facts.events) == {EVENTS[number] for number in (0, 1, 3, 6, 7)}
    assert Counter(row.what for row in rows) == {
        "event": 5, "revision": 1, "moved": 1, "identifier": 3, "journey": 1, "letter": 2,
    }  # fmt: skip
    one = next(one for one in facts.stored[ADA] if one.sighted.event == EVENTS[6].bytes)
    assert (one.sighted.retracted, one.sighted.home, one.arrived) == (True, "anonymous_id:hers", MARCH)
    assert remove.note(client, "e1", rows) == len(rows)
    assert remove.counts(client, "e1")[ADA]["touchpoints"] == 5
    remove.delete(client, "e1", lambda what: None)
    after = everything(shop)
    gone = {table: [row for row in before[table] if row not in after[table]] for table in before}
    assert {table: len(rows) for table, rows in gone.items()} == {
        "outcomes": 0, "late": 3, "follow_ups": 1, "journeys": 1, "journeys_by_person": 1, "dead_letters": 2,
        "person_touchpoints": 7, "touchpoints": 7, "identities": 3,
    }  # fmt: skip
    assert all(row in before[table] for table, rows in after.items() for row in rows)
    assert shop.ask("SELECT count() FROM erasing") == [(0,)]
    text = str(shop.ask("SELECT command FROM system.mutations WHERE database = currentDatabase()"))
    assert "ada" not in text
    assert "erasing" in text
    assert shop.ask(ledger) == [(3, 1, 2, 0)]  # no gap where the numbers of the kiosk's stream went
    assert looked(shop)[2] == []


def test_what_broke_off_is_found_again_from_whatever_is_left(shop: Tables, client: Any) -> None:
    _, _, rows = looked(shop)
    last = None
    for what, table, columns, theirs in remove.DELETED:
        remove.note(client, "e1", rows)
        where = f"{columns} IN (SELECT {theirs.strip('()')} FROM erasing WHERE what = '{what}')"
        client.execute(f"ALTER TABLE {table} DELETE WHERE {where} SETTINGS mutations_sync = 2")
        client.execute("ALTER TABLE erasing DROP PARTITION 'e1'")
        left = looked(shop)[2]
        assert bool(left) == (table != "identities"), table
        last = table
    assert last == "identities"


def test_who_is_meant_and_who_cannot_be(shop: Tables) -> None:
    shop.write("identities", [whose("anonymous_id:lonely", IDENTIFIERS.own("anonymous_id:lonely"))])
    with reader(shop.settings) as one:
        for given in ("email:ada@example.org", "customer_id:ada", ADA):
            assert who.chosen(one, [given], IDENTIFIERS).names == {ADA: {"customer_id:ada", "email:ada@example.org"}}
        lonely = IDENTIFIERS.own("anonymous_id:lonely")
        assert who.chosen(one, ["anonymous_id:lonely"], IDENTIFIERS).names == {lonely: frozenset()}
        assert who.stored(one, [ADA, BOB])[ADA] == (4, MARCH, MARCH + 7_000)
        for refused, why in (
            ("email:shop@example.org", "shared"),
            ("anonymous_id:kiosk", "several people"),
            (UUID(int=7), "nobody"),
        ):
            with pytest.raises(NotErasable, match=why):
                who.chosen(one, [refused], IDENTIFIERS)
        with pytest.raises(NotErasable, match="DESIRELINE_SECRET"):
            who.chosen(one, ["customer_id:ada"], Identifiers(DEFAULT_KINDS, b"other"))
        silent = who.silent_since(one, MARCH + 8_000, IDENTIFIERS).names
        assert silent.keys() == {ADA}
        assert who.silent_since(one, MARCH, IDENTIFIERS).names == {}


def test_migrations_say_nothing_of_anybody() -> None:
    assert "example.org" not in "".join(file.read_text() for file in FOLDER.glob("*.sql"))
