"""Files and maps: rows → touchpoints."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ingest.accept import Accepted, accept
from ingest.channels.files import File, FileError, Row
from ingest.importing import Chunk, MappedRows, chunks, letter, reader
from ingest.map import Map, MapError, load_map
from ingest.progress import ImportState
from ingest.source import Source
from schemas.codec import decode_stored, encode
from schemas.definition import load_definitions
from schemas.identity import DEFAULT_KINDS, Kinds

EXAMPLES = Path(__file__).parents[2] / "examples"
NOW = 1_790_000_000_000
TILL = """
source: till
zone: Europe/Madrid
identifiers: {loyalty_id: card, phone: phone}
channel: {value: store}
name: {column: kind, match: {"SALE*": paid, "REFUND": refund_paid}}
occurred_at: {column: at, format: "%d/%m/%Y %H:%M"}
where: {kind: ["SALE*", "REFUND", "X*"]}
value: {amount: total, currency: {value: EUR}}
feedback: {kind: {value: csat}, score: stars}
context: {store: store}
consent: agreed
properties: {items: {column: items, type: number}}
"""
ROWS = """card,phone,kind,at,total,stars,store,agreed,items
L1,,SALE-1,01/03/2026 13:00,12.50,5,s1,yes,3
,+34 600,REFUND,01/03/2026 13:00,-12.50,,s1,,
L1,,SALE-2,01/07/2026 13:00,0.1,,s1,1,
L1,,VOID,01/03/2026 13:00,1,,s1,,
L1,,XSALE,01/03/2026 13:00,1,,s1,,
L1,,SALE,31/02/2026 13:00,1,,s1,,
L1,,SALE,01/03/2026 13:00,1.005,,s1,,
L1,,SALE,01/03/2026 13:00,1,many,s1,,
L1,,SALE,01/03/2026 13:00,1,9,s1,,
L1,,SALE,bad,1,,s1,no,
,,SALE,01/03/2026 13:00,1,,s1,,
L1,SALE
L1,,SALE,01/03/2026 13:00,2,,"s,1",,nan
L1,,SALE,01/03/2026 13:00,3,,s1,,1.5
"""


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(
    path: Path,
    rules: Map | None = None,
    source: str | None = None,
    done: int = 0,
    size: int = 1000,
    kinds: Kinds = DEFAULT_KINDS,
) -> list[Chunk]:
    with closing(File(str(path), rules.format if rules else None, rules.delimiter if rules else ",")) as file:
        found, rows = reader(file, file.rows(), rules, source, kinds)
        return list(chunks(found, rows, done, lambda: NOW, size))


def stored(found: list[Chunk]) -> list[Any]:
    return [decode_stored.decode(accepted.value) for chunk in found for accepted in chunk.accepted]


@pytest.fixture
def till(tmp_path: Path) -> Map:
    return load_map(written(tmp_path, "till.yaml", TILL))


def test_rows_become_touchpoints_or_are_rejected_with_their_line(tmp_path: Path, till: Map) -> None:
    found = read(written(tmp_path, "till.csv", ROWS), till)
    first, refund, summer, last = stored(found)
    assert (first.source, first.channel, first.name) == ("till", "store", "paid")
    assert first.identifiers == {"loyalty_id": "L1"}
    assert first.occurred_at == 1_772_366_400_000, "13:00 in Madrid's winter is noon"
    assert (first.value.amount, first.value.currency, first.feedback.score) == (1250, "EUR", 5)
    assert (first.context.store, first.consent.analytics, first.properties) == ("s1", True, {"items": 3})
    assert (refund.identifiers, refund.name, refund.value.amount) == ({"phone": "+34600"}, "refund_paid", -1250)
    assert (refund.feedback, refund.properties) == (None, {})
    assert (summer.value.amount, summer.occurred_at % 86_400_000) == (10, 11 * 3_600_000), "summer time"
    assert (last.value.amount, last.properties) == (300, {"items": 1.5})
    assert sum(chunk.left_out for chunk in found) == 1
    rejected = [(row.line, why.reason, why.path) for chunk in found for row, why in chunk.rejected]
    assert rejected == [
        (6, "unmappable", ""),  # no pattern fits
        (7, "unmappable", ""),  # 31 February
        (8, "unmappable", ""),  # half a cent
        (9, "unmappable", ""),  # a score that is no number
        (10, "invalid", "feedback.score"),
        (11, "no_consent", "consent.analytics"),
        (12, "invalid", "identifiers"),
        (13, "unmappable", ""),  # too few cells
        (14, "unmappable", ""),  # not a number
    ]


def test_a_bad_row_is_a_dead_letter_with_its_place_unless_consent_was_refused(tmp_path: Path, till: Map) -> None:
    (chunk,) = read(written(tmp_path, "till.csv", ROWS), till)
    letters = {row.line: letter("till.csv", "till", row, why, NOW) for row, why in chunk.rejected}
    assert letters[11] is None
    assert letters[7] is not None
    assert json.loads(letters[7])["address"] == "till.csv:7"
    assert json.loads(letters[7])["record"] == "L1,,SALE,31/02/2026 13:00,1,,s1,,"


def test_order_in_the_file_is_order_in_the_stream(tmp_path: Path, till: Map) -> None:
    """Per customer, from 0; a rejected row keeps its number, so that its correction does not move the others."""
    touchpoints = stored(read(written(tmp_path, "till.csv", ROWS), till))
    assert [(t.stream.partition(":")[2], t.sequence) for t in touchpoints] == [
        ("loyalty_id=L1", 0), ("phone=+34 600", 0), ("loyalty_id=L1", 1), ("loyalty_id=L1", 9),
    ]  # fmt: skip
    assert len({t.event_id for t in touchpoints}) == 4


def test_a_row_sent_over_http_is_the_touchpoint_that_the_import_writes(tmp_path: Path, till: Map) -> None:
    path = written(tmp_path, "till.csv", ROWS)
    with closing(File(str(path), "csv")) as file:
        rows = file.rows()
        over_http = MappedRows(till, file, next(rows))
        sent = [encode(one) for one in map(over_http.as_sent, rows) if isinstance(one, dict)]
    answers = [accept(raw, Source("till"), NOW) for raw in sent]
    assert [one for one in answers if isinstance(one, Accepted)] == [
        one for chunk in read(path, till) for one in chunk.accepted
    ]


@pytest.mark.parametrize("done", [1, 3, 6, 13])
@pytest.mark.parametrize("size", [1, 4, 1000])
def test_an_import_that_goes_on_gives_what_one_in_one_go_gives(tmp_path: Path, till: Map, done: int, size: int) -> None:
    path = written(tmp_path, "till.csv", ROWS)
    whole, rest = read(path, till), read(path, till, done=done, size=size)
    assert rest[-1].rows == whole[-1].rows == 14
    lines = [row.line for chunk in rest for row, _ in chunk.rejected]
    assert lines == [row.line for chunk in whole for row, _ in chunk.rejected if row.line > done + 1]
    assert stored(rest) == stored(whole)[-len(stored(rest)) :]


def test_the_file_is_known_by_its_content_not_by_its_name(tmp_path: Path, till: Map) -> None:
    paths = [
        written(tmp_path, "till.csv", ROWS),
        written(tmp_path, "till-copy.csv.gz", gzip.compress(ROWS.encode())),
        written(tmp_path, "export", ROWS),
    ]
    ids = [[touchpoint.event_id for touchpoint in stored(read(path, till))] for path in paths]
    assert ids[0] == ids[1] == ids[2]
    other = written(tmp_path, "april.csv", ROWS.replace("SALE-1", "SALE-7"))
    assert not set(ids[0]) & {touchpoint.event_id for touchpoint in stored(read(other, till))}


def test_a_long_file_that_grew_at_its_end_keeps_its_ids(tmp_path: Path, till: Map) -> None:
    line = "L1,,SALE,01/03/2026 13:00,1,,s1,,\n"
    long = ROWS.splitlines()[0] + "\n" + line * 3000
    before, after = (stored(read(written(tmp_path, "a.csv", text), till)) for text in (long, long + line))
    assert [t.event_id for t in before] == [t.event_id for t in after][:-1]


def test_columns_may_name_the_event(tmp_path: Path, till: Map) -> None:
    rules = till.model_copy(update={"event_id": ("card", "kind")})
    first = stored(read(written(tmp_path, "till.csv", ROWS), rules))[0]
    assert first.event_id.hex == Source("till").event_id("L1|SALE-1").replace("-", "")


def test_json_lines_are_mapped_with_keys_by_dot(tmp_path: Path) -> None:
    rules = load_map(
        written(
            tmp_path,
            "map.yaml",
            "source: app\nidentifiers: {customer_id: user.id}\nchannel: {value: app}\nname: event\n"
            "occurred_at: {column: ts, format: unix_milliseconds}\nproperties: [plan]\n",
        )
    )
    lines = [
        {"user": {"id": 17}, "event": "login", "ts": NOW, "plan": {"tier": 1}},
        {"user": None, "event": "login", "ts": NOW},
        [1],
    ]
    path = written(tmp_path, "events.jsonl", b"\n".join(map(encode, lines)) + b'\n{"event": \n')
    found = read(path, rules)
    (touchpoint,) = stored(found)
    assert (touchpoint.identifiers, touchpoint.occurred_at) == ({"customer_id": "17"}, NOW)
    assert touchpoint.properties == {"plan": {"tier": 1}}
    reasons = [(row.line, why.reason) for chunk in found for row, why in chunk.rejected]
    assert reasons == [(2, "invalid"), (3, "unmappable"), (4, "malformed_json")]


def test_our_own_touchpoints_need_no_map(tmp_path: Path) -> None:
    raw = encode({"event_id": "1", "channel": "web", "name": "visit", "identifiers": {"customer_id": "1"}})
    path = written(tmp_path, "own.jsonl", raw + b"\n{}\n")
    (chunk,) = read(path, source="web")
    assert chunk.accepted == [accept(raw, Source("web"), NOW)]
    assert [(row.line, why.path) for row, why in chunk.rejected] == [(2, "channel")]
    with pytest.raises(MapError, match="--source"):
        read(path)


def test_stored_touchpoints_go_on_byte_for_byte_in_any_order(tmp_path: Path, till: Map) -> None:
    accepted = [one for chunk in read(written(tmp_path, "till.csv", ROWS), till) for one in chunk.accepted]
    lines = [one.value for one in [*reversed(accepted), accepted[0]]]
    wrong = lines[0].replace(b'"loyalty_id":"L1"', b'"loyalty_id":"L2"')
    (chunk,) = read(written(tmp_path, "dry.jsonl", b"\n".join([*lines, wrong, b"{}"])))
    assert chunk.accepted == [*reversed(accepted), accepted[0]]
    assert [(row.line, why.path) for row, why in chunk.rejected] == [(6, "address"), (7, "")]


def test_files_of_each_sort_know_the_kinds_that_are_configured_and_how_they_are_written(tmp_path: Path) -> None:
    kinds = Kinds.model_validate(
        {"kinds": [{"name": "table"}, {"name": "phone"}], "phone_region": "MX", "blocked_values": ["takeaway"]}
    )
    path = written(
        tmp_path,
        "map.yaml",
        "source: floor\nidentifiers: {table: seat, phone: phone}\nchannel: {value: store}\nname: {value: seated}\n",
    )
    rows = written(tmp_path, "rows.csv", "seat,phone\nGuest,55 1234 5678\nTakeaway,55 1234 5679\n")
    mapped = read(rows, load_map(path, kinds), kinds=kinds)
    identifiers = [{"table": "Guest", "phone": "+525512345678"}, {"phone": "+525512345679"}]
    assert [one.identifiers for one in stored(mapped)] == identifiers
    assert [one.key for chunk in mapped for one in chunk.accepted] == [b"table:Guest", b"phone:+525512345679"]

    sent = {
        "event_id": "1",
        "channel": "store",
        "name": "seated",
        "identifiers": {"phone": "5512345678", "table": "Guest"},
    }
    (touchpoint,) = stored(read(written(tmp_path, "own.jsonl", encode(sent)), source="floor", kinds=kinds))
    assert touchpoint.identifiers == identifiers[0]

    dry = b"\n".join(one.value for chunk in mapped for one in chunk.accepted)
    again = written(tmp_path, "dry.jsonl", dry)
    assert [one.value for chunk in read(again, kinds=kinds) for one in chunk.accepted] == dry.split(b"\n")
    (chunk,) = read(again)
    assert [(row.line, why.path) for row, why in chunk.rejected] == [(1, "address")], "others do not know tables"
    with pytest.raises(MapError, match=r"map\.yaml: identifiers\.table is not a configured kind: use customer_id"):
        load_map(path)


def test_a_damaged_file_says_where(tmp_path: Path, till: Map) -> None:
    long = ROWS.splitlines()[0] + "\n" + "".join(f"L{n},,SALE,01/03/2026 13:00,{n},,s1,,\n" for n in range(9000))
    packed = gzip.compress(long.encode())
    with pytest.raises(FileError, match="breaks off after line"):
        read(written(tmp_path, "cut.csv.gz", packed[: len(packed) * 3 // 4]), till)
    with pytest.raises(FileError, match="cannot be read"):
        read(tmp_path / "absent.csv", till)
    latin = ROWS.encode().replace(b"s1,yes", b"caf\xe9,yes")
    (chunk,) = read(written(tmp_path, "latin.csv", latin), till)
    row, why = chunk.rejected[0]
    assert (row.line, why.reason, why.message) == (2, "unmappable", "the row is not UTF-8: convert the file")


def test_a_line_without_end_costs_one_row(tmp_path: Path) -> None:
    raw = encode({"event_id": "1", "channel": "web", "name": "visit", "identifiers": {"customer_id": "1"}})
    path = written(tmp_path, "long.jsonl", raw + b"\n" + b"x" * (3 << 20) + b"\n" + raw + b"\n")
    with closing(File(str(path), None)) as file:
        rows: Iterator[Row] = file.rows()
        assert [(row.line, isinstance(row.content, bytes)) for row in rows] == [(1, True), (2, False), (3, True)]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("source: till", "sauce: till"), "till.yaml: sauce: "),
        (("zone: Europe/Madrid", "zone: Europe/Tacos"), "zone: 'Europe/Tacos' is not an IANA time zone"),
        (("loyalty_id: card", "passport: card"), "identifiers.passport is not a configured kind"),
        (("{store: store}", "{shop: store}"), "context.shop does not exist"),
        (("{value: store}", "{value: store, column: x}"), "channel: give either column or value"),
        (("source: till", "source: till\nsequence: n"), "must say which columns are the event_id"),
        (("source: till", "["), "not YAML"),
    ],
)
def test_mistakes_in_a_map_are_named(tmp_path: Path, change: tuple[str, str], problem: str) -> None:
    with pytest.raises(MapError, match=r"till\.yaml") as caught:
        load_map(written(tmp_path, "till.yaml", TILL.replace(*change)))
    assert problem in str(caught.value)


def test_a_column_that_the_file_lacks_is_named(tmp_path: Path, till: Map) -> None:
    with pytest.raises(MapError, match="no column 'card'; it has customer, phone"):
        read(written(tmp_path, "till.csv", ROWS.replace("card,", "customer,", 1)), till)


def test_the_position_of_an_import_outlives_the_process(tmp_path: Path, till: Map) -> None:
    def state(source: str | None = None) -> ImportState:
        return ImportState(tmp_path, "till.csv", "abc", till, source)

    assert state().load() == 0
    state().save(17)
    assert (state().load(), state("other").load()) == (17, 0)
    state().forget()
    assert state().load() == 0


def test_the_examples_fit_each_other() -> None:
    """Every activity of the BPI 2012 map has a stage, so that each case is one journey from its first touchpoint."""
    rules = load_map(EXAMPLES / "maps" / "bpi2012.yaml")
    (definition,) = load_definitions(EXAMPLES / "definitions" / "bpi2012.yaml")
    assert rules.source == "bpi2012"
    assert definition.goal is None
    for name in ("A_SUBMITTED", "O_SENT", "W_Nabellen offertes", "A_CANCELLED"):
        assert definition.number("web", name, {}) & 0b0111_1111 > 0b0100_0000, name
