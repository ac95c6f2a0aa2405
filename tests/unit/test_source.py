"""Write keys."""

from __future__ import annotations

from uuid import uuid5

import pytest

from ingest.source import Source, WriteKeys


def test_keys_name_sources_and_their_zones() -> None:
    keys = WriteKeys.parse("web=0123456789, web=another-key ,till=till_key_1@Europe/Madrid")
    assert keys.source("0123456789") == keys.source("another-key") == Source("web")
    till = keys.source("till_key_1")
    assert till is not None
    assert (till.name, str(till.zone)) == ("till", "Europe/Madrid")
    assert keys.source("nobody") is keys.source("") is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no write key"),
        ("web", "entry 1"),
        ("web=short", "entry 1"),
        ("web=secret-secret,till=with space", "entry 2"),
        ("web=secret-secret,till=secret-secret", "entry 2 has the same key"),
        ("web=secret-secret@Europe/Nowhere", "not an IANA time zone"),
    ],
)
def test_mistakes_are_named_without_showing_the_key(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        WriteKeys.parse(text)
    assert "secret" not in str(caught.value)


def test_event_ids_are_uuid5() -> None:
    source = Source("web")
    for own in ("1", "ünï", "x" * 300):
        assert source.event_id(own) == str(uuid5(source.namespace, own))
