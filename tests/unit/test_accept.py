"""The rule of what is accepted: promised answers to bad input, and laws that hold for any input."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid5
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.accept import MAX_STORED_BYTES, Accepted, Rejected, accept, accept_request
from ingest.read import Record, read
from ingest.source import Source
from ingest.validation import validated
from schemas.codec import TouchpointStruct, decode_stored
from schemas.topics import MAX_RECORD_BYTES
from schemas.touchpoint import StoredTouchpoint, Touchpoint
from tests.bad_input import RECORDS, BadRecord, as_json, good

NOON = 1_772_366_400_000  # 2026-03-01T12:00:00Z
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
SHOP = Source("shop")


def stored(content: object, received_at: int = NOON, source: Source = SHOP, sent: int | None = None) -> Any:
    result = accept(as_json(content), source, received_at, sent)
    assert isinstance(result, Accepted), result
    return decode_stored.decode(result.value)


def moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_bad_input_gets_the_promised_answer(record: BadRecord) -> None:
    result = accept(record.raw, SHOP, NOON)
    assert isinstance(result, Rejected)
    assert (result.reason, result.path) == (record.reason, record.path)
    assert result.message


def test_what_is_accepted_is_a_stored_touchpoint_with_everything_that_was_sent() -> None:
    sent = good(
        1,
        sequence=4,
        stream="browser-1",
        context={"page": "https://tacos.example", "device": "mobile"},
        value={"amount": 12_900, "currency": "MXN"},
        feedback={"kind": "nps", "score": 3, "text": "¡qué lento!"},
        consent={"analytics": True, "marketing": False},
        properties={"a": [1, {"b": None}], "big": 10**30},
        identifiers={"phone": "0052 55-1234", "email": " Ana@Example.COM ", "customer_id": "17"},
        sent_at="2026-03-01T12:00:01Z",
    )
    result = accept(as_json(sent), SHOP, NOON)
    assert isinstance(result, Accepted)
    model = StoredTouchpoint.model_validate_json(result.value)
    assert result.key == b"phone:+52551234" == model.address.encode()
    assert list(model.identifiers.items()) == [
        ("customer_id", "17"),
        ("email", "ana@example.com"),
        ("phone", "+52551234"),
    ]
    assert model.event_id == uuid5(SHOP.namespace, "good-1")
    assert (model.source_event_id, model.source, model.clock) == ("good-1", "shop", "as_sent")
    assert (model.occurred_at, model.received_at, model.sent_at) == (NOON, NOON, NOON + 1000)
    given_parts = Touchpoint.model_validate(sent)
    for part in ("channel", "name", "sequence", "stream", "context", "value", "feedback", "consent", "properties"):
        assert getattr(model, part) == getattr(given_parts, part), part
    assert b"retracted" not in result.value, "defaults are left out"


def test_unknown_fields_are_kept_in_properties() -> None:
    touchpoint = stored(good(1, search_term="al pastor", properties={"results": 12}))
    assert touchpoint.properties == {"search_term": "al pastor", "results": 12}


def test_sources_cannot_touch_each_others_events() -> None:
    assert stored(good(1)).event_id != stored(good(1), source=Source("till")).event_id


def test_a_touchpoint_without_id_is_recognised_by_its_content() -> None:
    first, again = stored(good(1, event_id=...)), stored(good(1, event_id=...), NOON + HOUR)
    other = stored(good(1, event_id=..., name="menu_closed"))
    assert first.event_id == again.event_id != other.event_id


def test_a_revision_is_addressed_by_its_event_not_by_its_customer() -> None:
    one, two = stored(good(1, revision=1)), stored(good(1, revision=2, identifiers={"customer_id": "other"}))
    assert one.address == two.address == f"event:{one.event_id}"


@pytest.mark.parametrize(
    "changes",
    [
        {"sent_at": "2026-03-01T11:59:59Z"},
        {"occurred_at": "2026-03-01T13:00:00+01:00"},
        {"occurred_at": "2026-03-01T12:00:00.000Z"},
        {"revision": 0, "retracted": False, "context": None},
    ],
)
def test_what_means_the_same_has_the_same_content(changes: dict[str, Any]) -> None:
    assert stored(good(1, **changes)).content == stored(good(1)).content


@pytest.mark.parametrize("changes", [{"name": "x"}, {"sequence": 0}, {"properties": {"a": 1}}, {"occurred_at": ...}])
def test_what_differs_has_other_content(changes: dict[str, Any]) -> None:
    assert stored(good(1, **changes)).content != stored(good(1)).content


class TestClock:
    def test_transit_of_five_minutes_is_no_skew(self) -> None:
        touchpoint = stored(good(1), NOON + 5 * MINUTE, sent=NOON)
        assert (touchpoint.occurred_at, touchpoint.clock) == (NOON, "as_sent")

    @pytest.mark.parametrize("late", [5 * MINUTE + 1, 40 * DAY])
    def test_a_slow_clock_is_corrected(self, late: int) -> None:
        touchpoint = stored(good(1, occurred_at=moment(NOON - 10_000)), NOON + late, sent=NOON)
        assert (touchpoint.occurred_at, touchpoint.clock) == (NOON + late - 10_000, "corrected")

    def test_a_fast_clock_is_corrected(self) -> None:
        touchpoint = stored(good(1, occurred_at=moment(NOON + 3 * DAY - 10_000)), NOON, sent=NOON + 3 * DAY)
        assert (touchpoint.occurred_at, touchpoint.clock) == (NOON - 10_000, "corrected")

    @pytest.mark.parametrize("ahead", [1, DAY])
    def test_up_to_a_day_ahead_is_clamped(self, ahead: int) -> None:
        touchpoint = stored(good(1, occurred_at=moment(NOON + ahead)))
        assert (touchpoint.occurred_at, touchpoint.clock) == (NOON, "clamped")

    def test_more_than_a_day_ahead_is_rejected(self) -> None:
        result = accept(as_json(good(1, occurred_at=moment(NOON + DAY + 1))), SHOP, NOON)
        assert isinstance(result, Rejected)
        assert result.reason == "out_of_time"

    def test_correction_cannot_lead_before_1990(self) -> None:
        early = good(1, occurred_at="1990-01-01T00:00:01Z")
        assert stored(early).occurred_at == 631_152_001_000
        result = accept(as_json(early), SHOP, NOON, NOON + HOUR)
        assert isinstance(result, Rejected)
        assert result.reason == "out_of_time"

    def test_without_time_it_happened_when_it_came_and_content_does_not_say_when(self) -> None:
        one, two = stored(good(1, occurred_at=...)), stored(good(1, occurred_at=...), NOON + HOUR)
        assert (one.occurred_at, one.clock, two.occurred_at) == (NOON, "received", NOON + HOUR)
        assert (one.content, one.event_id) == (two.content, two.event_id)

    def test_one_offset_for_a_request_by_the_first_that_says_when_it_was_sent(self) -> None:
        items = [
            b"{",
            as_json(good(1, occurred_at=moment(NOON - 2000))),
            as_json(good(2, occurred_at=moment(NOON - 1000), sent_at=moment(NOON))),
            as_json(good(3, occurred_at=moment(NOON), sent_at=moment(NOON + HOUR))),
        ]
        results = [result for result in accept_request(items, SHOP, NOON + HOUR) if isinstance(result, Accepted)]
        times = [decode_stored.decode(result.value).occurred_at for result in results]
        assert times == [NOON + HOUR - 2000, NOON + HOUR - 1000, NOON + HOUR]

    @pytest.mark.parametrize(
        ("local", "utc"),
        [
            ("2026-03-01T13:00:00", NOON),
            ("2026-07-01 14:00:00", 1_782_907_200_000),  # summer time
            ("2025-10-26T02:30:00", 1_761_438_600_000),  # the hour that comes twice: the first one
            ("2026-03-01T12:00:00Z", NOON),
        ],
    )
    def test_a_source_may_declare_its_zone(self, local: str, utc: int) -> None:
        source = Source("till", ZoneInfo("Europe/Madrid"))
        assert stored(good(1, occurred_at=local), utc + 1000, source).occurred_at == utc


# -- laws ------------------------------------------------------------------------------------------------------------

texts = st.text(st.characters(codec="utf-8"), max_size=20)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
labels = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
times = st.datetimes(datetime(1989, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)).map(datetime.isoformat)
identifiers = st.dictionaries(
    st.sampled_from(["customer_id", "email", "phone", "anonymous_id", "device_id"]), labels, min_size=1, max_size=4
)
touchpoints = st.fixed_dictionaries(
    {"channel": labels, "name": labels, "identifiers": identifiers, "event_id": labels},
    optional={
        "occurred_at": times,
        "sent_at": times,
        "sequence": st.integers(0, 2**31 - 2),
        "revision": st.integers(0, 3),
        "properties": st.dictionaries(labels, json_values, max_size=4),
        "context": st.fixed_dictionaries({}, optional={"page": texts, "agent": labels}),
        "value": st.fixed_dictionaries({"amount": st.integers(-(10**15), 10**15), "currency": st.just("EUR")}),
        "feedback": st.fixed_dictionaries({"kind": st.just("nps"), "score": st.integers(-1, 11)}),
        "consent": st.fixed_dictionaries({"analytics": st.sampled_from([None, True])}),
        "extra": json_values,
    },
)
anything_like_one = st.dictionaries(
    st.sampled_from([*Touchpoint.model_fields, "extra"]), json_values | labels | times | identifiers, max_size=8
)


@given(st.binary(max_size=200))
def test_no_bytes_raise(raw: bytes) -> None:
    assert isinstance(accept(raw, SHOP, NOON), Rejected)


@given(touchpoints, st.integers(0, 400), st.binary(max_size=3))
def test_no_damage_raises(touchpoint: dict[str, Any], place: int, damage: bytes) -> None:
    raw = as_json(touchpoint)
    accept(raw[: place % len(raw)] + damage + raw[place % len(raw) + 1 :], SHOP, NOON)


@given(anything_like_one)
def test_struct_and_model_agree(fields: dict[str, Any]) -> None:
    """What the fast way takes, the model takes too; and what the model refuses is refused."""
    known = {name: value for name, value in fields.items() if name != "extra"}
    try:
        model: Touchpoint | None = Touchpoint.model_validate(known)
    except ValueError:
        model = None
    found = validated(known)
    assert isinstance(found, Rejected) == (model is None)
    if model is not None:
        assert found == msgspec.convert(model.model_dump(exclude_unset=True), TouchpointStruct)


@given(touchpoints, st.integers(0, 2 * DAY), st.randoms())
def test_a_resend_is_recognised(touchpoint: dict[str, Any], later: int, shuffle: Any) -> None:
    """Later, with other spacing, keys in other order and a new sent_at: the same id, content and place."""
    first = accept(as_json(touchpoint), SHOP, NOON)
    names = list(touchpoint)
    shuffle.shuffle(names)
    again = {name: touchpoint[name] for name in names} | ({"sent_at": moment(NOON)} if "sent_at" in touchpoint else {})
    second = accept(json.dumps(again, indent=1).encode(), SHOP, NOON + later)
    if isinstance(first, Accepted) and isinstance(second, Accepted):
        one, two = decode_stored.decode(first.value), decode_stored.decode(second.value)
        assert (one.event_id, one.content, first.key) == (two.event_id, two.content, second.key)


@given(touchpoints)
def test_what_is_accepted_fits_its_schema_and_its_topic(touchpoint: dict[str, Any]) -> None:
    result = accept(as_json(touchpoint), SHOP, NOON)
    if isinstance(result, Accepted):
        model = StoredTouchpoint.model_validate_json(result.value)
        assert model.occurred_at <= NOON
        assert model.address.encode() == result.key
        again = accept(as_json(touchpoint | {"identifiers": model.identifiers}), SHOP, NOON)
        assert isinstance(again, Accepted)
        assert again.key == result.key, "normalising twice changes nothing"


def test_the_largest_touchpoint_fits_into_a_record() -> None:
    """Numbers can be written shorter by the source (1e15) than by us (1000000000000000.0)."""
    numbers = b",".join([b"1e15"] * 52_000)
    raw = as_json(good(1, properties={"a": "HERE"})).replace(b'"HERE"', b"[" + numbers + b"]")
    result = accept(raw, SHOP, NOON)
    assert isinstance(result, Rejected)
    assert result.reason == "too_large"
    assert len(raw) * 5 > MAX_STORED_BYTES
    assert MAX_STORED_BYTES + 1024 < MAX_RECORD_BYTES


@given(json_values)
def test_a_key_that_is_twice_is_found_wherever_it_is(value: Any) -> None:
    text = json.dumps({"outer": [value, {"a:b": value, "c": 1}]}, ensure_ascii=False)
    assert isinstance(read(text.encode()), Record)
    twice = read(text.replace('"c": 1', '"c": 1, "c" : ":"').encode())
    assert isinstance(twice, Rejected)
    assert twice.reason == "duplicate_key"
