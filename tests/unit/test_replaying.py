"""A dead letter, asked about again: what has become a touchpoint, what has not, and what never can."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import typer

from cli.letters import Found
from cli.replay import batches, replay
from ingest.accept import Accepted
from ingest.rejected import Rejected
from ingest.replaying import NotReplayable, again
from ingest.settings import ReplaySettings
from ingest.source import Source, WriteKeys
from schemas.codec import decode_stored, encode
from schemas.dead_letter import MAX_KEPT_BYTES, DeadLetter, Leg, Reason, dead_letter
from schemas.identity import DEFAULT_KINDS, Kinds
from tests.sink_records import MARCH, touchpoint

MADRID = Source("till", ZoneInfo("Europe/Madrid"))
SENT = {"channel": "store", "name": "paid", "event_id": "1", "identifiers": {"email": "Ada@example.org"}}


def refused(raw: bytes, leg: Leg = "collector", reason: Reason = "invalid", address: str = "7-1/0") -> DeadLetter:
    return dead_letter(raw, source="till", leg=leg, reason=reason, message="", address=address, at=MARCH)


def stored(answer: Accepted | Rejected | NotReplayable) -> Any:
    assert isinstance(answer, Accepted), answer
    return decode_stored.decode(answer.value)


@pytest.mark.parametrize("leg", ["collector", "import"])
def test_a_time_without_zone_is_read_in_the_zone_that_its_source_has_now(leg: Leg) -> None:
    letter = refused(encode(SENT | {"occurred_at": "2026-02-28T12:00:00"}), leg)
    before = again(letter, Source)
    assert isinstance(before, Rejected)
    assert before.path == "occurred_at"
    answer = again(letter, lambda _: MADRID)
    assert isinstance(answer, Accepted)
    assert answer.key == b"email:ada@example.org"
    found = stored(answer)
    assert (found.source, found.received_at, found.occurred_at) == ("till", MARCH, MARCH - 13 * 3_600_000)
    assert again(letter, lambda _: MADRID) == answer, "a repeat is a duplicate"


def test_it_is_as_if_it_had_been_accepted_when_it_came_in() -> None:
    without_time = stored(again(refused(encode(SENT)), Source))
    assert (without_time.occurred_at, without_time.clock) == (MARCH, "received")
    wrong_clock = SENT | {"occurred_at": "2026-02-28T22:00:00Z", "sent_at": "2026-02-28T23:00:00Z"}
    assert stored(again(refused(encode(wrong_clock)), Source)).occurred_at == MARCH - 3_600_000
    # An import does not correct clocks: its file may have been written at any time.
    assert stored(again(refused(encode(wrong_clock), "import"), Source)).occurred_at == MARCH - 2 * 3_600_000


def test_a_kind_that_is_configured_since_is_accepted() -> None:
    kind = next(iter(DEFAULT_KINDS.names))
    letter = refused(encode(SENT | {"identifiers": {kind: "17", "table": "4"}}), reason="unknown_identifier")
    answer = again(letter, Source)
    assert isinstance(answer, Rejected)
    assert answer.reason == "unknown_identifier"
    configured = Kinds.model_validate({"kinds": [{"name": kind}, {"name": "table"}]})
    assert stored(again(letter, Source, configured)).identifiers == {kind: "17", "table": "4"}


@pytest.mark.parametrize(
    ("letter", "why"),
    [
        (refused(b'{"a": "' + b"x" * MAX_KEPT_BYTES + b'"}', reason="too_large"), "only the first 64 kB of its 65,545"),
        (refused(encode(SENT)[:-1] + b', "x": "\xe9"}', reason="malformed_json"), "not UTF-8"),
        (refused(encode(SENT) + b"\x00", reason="malformed_json"), "not UTF-8"),
        (refused(touchpoint(1), "identity", "conflicting", "touchpoints/0/1"), "with a higher revision"),
        (refused(b"c7,visit,never", "import", "unmappable", "rows.csv:9"), "correct the file or its map"),
        (refused(encode(SENT), "import", "unmappable", "rows.jsonl:9"), "correct the file or its map"),
        (refused(b"c7,visit,1066-10-14", "import", "out_of_time", "rows.csv:9"), "correct the file or its map"),
        (refused(b"17", "import", "no_identifier", "rows.csv:9"), "correct the file or its map"),
        (refused(b"{}", "stitch", "undecodable", "people/0/1"), "record of the topic people"),
        (refused(b"{}", "sink", "unwritable", "journeys/0/1"), "record of the topic journeys"),
    ],
)
def test_what_cannot_be_replayed_says_what_else_to_do(letter: DeadLetter, why: str) -> None:
    answer = again(letter, Source)
    assert isinstance(answer, NotReplayable)
    assert why in answer.why


@pytest.mark.parametrize(
    ("letter", "reason"),
    [
        (refused(b'{"channel":', reason="malformed_json"), "malformed_json"),
        (refused(b'{"channel":', "import", "malformed_json", "rows.jsonl:9"), "malformed_json"),
        (refused(b'{"consent": {"analytics": false}}'), "no_consent"),
        (refused(b"", "identity", "undecodable", "touchpoints/0/1"), "undecodable"),
        (refused(b"[" * 5000, "identity", "undecodable", "touchpoints/0/1"), "undecodable"),
    ],
)
def test_what_is_refused_still_says_why_it_is_now(letter: DeadLetter, reason: str) -> None:
    answer = again(letter, Source)
    assert isinstance(answer, Rejected)
    assert answer.reason == reason


def test_a_record_of_the_topic_goes_back_as_it_is_to_its_address_only() -> None:
    home = touchpoint(1, identifiers={"email": "ada@example.org"}, address="email:ada@example.org")
    letter = refused(home, "identity", "undecodable", "touchpoints/0/1")
    assert again(letter, Source) == Accepted(b"email:ada@example.org", home)
    newer = home[:-1] + b',"of_a_later_release":1}'
    assert again(refused(newer, "sink", "unwritable", "touchpoints/0/1"), Source) == Accepted(
        b"email:ada@example.org", newer
    )
    astray = touchpoint(1, identifiers={"email": "ada@example.org"}, address="email:bob@example.org")
    answer = again(refused(astray, "identity", "undecodable", "touchpoints/0/1"), Source)
    assert isinstance(answer, Rejected)
    assert answer.path == "address"


def test_a_line_of_a_dry_run_is_no_touchpoint_as_sent() -> None:
    line = touchpoint(1, identifiers={"email": "ada@example.org"}, address="email:ada@example.org")
    answer = again(refused(line, "import", "invalid", "dry.jsonl:1"), Source)
    assert answer == Accepted(b"email:ada@example.org", line)


def test_sources_are_found_by_name_with_the_zone_on_which_their_keys_agree() -> None:
    keys = WriteKeys.parse(
        "web=web_key_1,web=web_key_2@Europe/Madrid,till=till_key1@Europe/Madrid,till=till_key2@Europe/Madrid"
    )
    assert keys.named("till") == MADRID
    assert keys.named("web") == Source("web")
    assert keys.named("nobody") == Source("nobody")


def test_write_keys_need_not_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, zone in (("", None), ("till=till_key1@Europe/Madrid", MADRID.zone)):
        monkeypatch.setenv("DESIRELINE_WRITE_KEYS", text)
        assert ReplaySettings().sources.named("till").zone == zone
    monkeypatch.delenv("DESIRELINE_WRITE_KEYS")
    assert ReplaySettings().sources.named("till").zone is None
    monkeypatch.setenv("DESIRELINE_WRITE_KEYS", "till=secret_key@Nowhere")
    with pytest.raises(ValueError, match="not an IANA time zone"):
        ReplaySettings()


def some(count: int) -> Iterator[Found]:
    for number in range(count):
        letter = refused(encode(SENT | {"event_id": str(number)}) if number % 2 else b"{}")
        yield Found(f"{number:064x}", letter)


def test_letters_are_sent_in_batches_and_none_is_lost() -> None:
    found = list(batches(some(7), Source, size=3))
    assert [(batch.rows, len(batch.accepted), len(batch.outcomes)) for batch in found] == [
        (3, 1, 3),
        (6, 2, 3),
        (7, 0, 1),
    ]
    assert [outcome.found.id for batch in found for outcome in batch.outcomes] == [f"{n:064x}" for n in range(7)]
    assert all(batch.rejected == [] for batch in found), "nothing becomes a dead letter again"


def test_a_dry_run_says_what_would_become_of_each(capsys: pytest.CaptureFixture[str]) -> None:
    report = replay(some(3), 3, ReplaySettings(), dry_run=True)
    first, second, _ = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{0:012x}  still refused       till  7-1/0  invalid: channel: ")
    assert second == f"{0:012x}  would be replayed   till  7-1/0"
    assert report.totals() == "3 dead letters: would be replayed 1, still refused 2"
    assert report.still_refused == 2


def test_when_it_is_interrupted_it_says_how_far_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> Iterator[Found]:
        yield from some(100)
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as ended:
        replay(interrupted(), 250, ReplaySettings(), dry_run=True)
    assert ended.value.exit_code == 1
    said = capsys.readouterr()
    assert "100 of 250 dead letters: would be replayed 50, still refused 50" in said.out
    assert "interrupted; run the same command again: what is sent twice counts once" in said.err
