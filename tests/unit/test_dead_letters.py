"""`desireline dead-letters`, the pure part: how letters look, which are selected, how ids are told apart."""

from __future__ import annotations

from hashlib import sha256

import pytest

from cli.dead_letters import as_object, lines, record_lines, story, summary
from cli.letters import SHOWN_DIGITS, Filter, Found, NotOne, apart, whole_ids
from ingest.replaying import NotReplayable
from schemas.dead_letter import MAX_KEPT_BYTES, dead_letter
from sinks.reader import Answer

AT = 1_772_323_200_123  # 2026-03-01T00:00:00.123Z


def refused(raw: bytes, source: str = "web", message: str = "add it", path: str = "name") -> Found:
    letter = dead_letter(
        raw, source=source, leg="collector", reason="invalid", message=message, address="7-1/0", at=AT, path=path
    )
    return Found(sha256(raw).hexdigest(), letter)


def test_a_letter_is_one_line_whatever_is_in_it() -> None:
    wild = refused(b"{}", message="no\nsuch\x1b[31m\tkey", path="properties.\u009b2J")
    first, second = lines([refused(b"[]", source="call_center"), wild])
    assert first.index("collector") == second.index("collector")
    assert second.endswith("7-1/0  no such\N{REPLACEMENT CHARACTER}[31m key")
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in first + second)
    assert f"{wild.id[:SHOWN_DIGITS]}  2026-03-01T00:00:00.123Z  web " in second
    assert lines([]) == []


def test_the_summary_counts_by_reason() -> None:
    assert summary(0, {}) == "no dead letters"
    assert summary(1, {"invalid": 1}) == "1 dead letter: invalid 1"
    assert summary(2, {"invalid": 1500, "too_deep": 2}) == "2 of 1,502 dead letters: invalid 1,500, too_deep 2"


def test_as_an_object_it_has_no_record() -> None:
    found = as_object(refused(b'{"channel": "web"}'))
    assert "record" not in found
    assert (found["at"], found["bytes"]) == ("2026-03-01T00:00:00.123Z", 18)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b'{"a":1,"a":1e999}', ["{", '  "a": 1,', '  "a": 1e999', "}"]),
        (b"c7,visit,never", ["c7,visit,never"]),
        (b'{"a":\xff', ['{"a":\\xff']),
        (b'{"a": "\xc2\x9b2J"}', ["{", '  "a": "\N{REPLACEMENT CHARACTER}2J"', "}"]),
        (b"", []),
        (b"[" * 5000, ["[" * 5000]),
    ],
)
def test_the_record_is_shown_as_it_came(raw: bytes, shown: list[str]) -> None:
    assert record_lines(refused(raw).letter) == shown


def test_all_of_it_says_what_to_do_and_what_was_cut() -> None:
    text = "\n".join(story(refused(b"x" * (MAX_KEPT_BYTES + 1)), NotReplayable("it is too large")))
    assert "what to do  add it" in text
    assert "replay      cannot be replayed: it is too large" in text
    assert "invalid: a field is missing" in text
    assert "65,537, of which the first 65,536 are kept" in text


def test_filters_become_conditions_with_parameters() -> None:
    assert Filter().where() == ("1", {})
    where, parameters = Filter("invalid", "web' OR 1", "import", AT, ("ab",)).where()
    assert parameters == {"reason": "invalid", "source": "web' OR 1", "leg": "import", "since": AT, "ids": ["ab"]}
    assert "OR" not in where
    assert where.count("{") == 5


class Knowing:
    """A Reader that knows these ids."""

    def __init__(self, *ids: str) -> None:
        self._ids = ids

    def ask(self, sql: str, parameters: dict[str, list[str]]) -> Answer:
        fitting = sorted(id for id in self._ids if id.startswith(tuple(parameters["prefixes"])))
        return Answer(("id",), [(id,) for id in fitting])


def test_an_id_may_be_shortened_as_long_as_it_is_one_letters() -> None:
    one, other, like_it = "a" * 64, "b" * 64, "a" * 20 + "c" * 44
    reader = Knowing(one, other)
    assert whole_ids(reader, ["BBBB ", "aaaa", "aaaaaa"]) == (other, one)  # type: ignore[arg-type]
    with pytest.raises(NotOne, match=f"2 dead letters .* say which: {'a' * 21}, {'a' * 20}c"):
        whole_ids(Knowing(one, like_it), ["aaaa"])  # type: ignore[arg-type]
    with pytest.raises(NotOne, match="no dead letter has the id cccc"):
        whole_ids(reader, ["aaaa", "cccc"])  # type: ignore[arg-type]
    for text in ("", "abc", "xyzw", "%" * 12, "a" * 65):
        with pytest.raises(NotOne, match="is not the id"):
            whole_ids(reader, [text])  # type: ignore[arg-type]


def test_ids_are_as_long_as_it_takes() -> None:
    assert apart(["a" * 64, "b" * 64]) == ["a" * 12, "b" * 12]
    assert apart(["a" * 64]) == ["a" * 12]
