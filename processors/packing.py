"""How the stitch leg keeps a person: their touchpoints as fixed records in journey order, and a small head behind them.

    format byte | record · record · … | head

A record sorts as its bytes: occurred_at, sequence + 1, event id. Texts are codes of the partition's own vocabulary. What is
in order is appended without decoding what is there. A touchpoint that is gone stays as a mark with its version, for its
older statement may still come; `packed` is checked against a plain fold in the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

FORMAT = b"\x02"
BEFORE = b"\x01"  # the release before kept no news in the head
# at, sequence + 1, event id | revision, move | channel, name, rules | feedback | money
RECORD = Struct(">QI16sIHHHHHq")
ORDER = Struct(">QI16s")
SIZE = RECORD.size
ORDER_SIZE = ORDER.size
NO_JOURNEY = 0xFFFF_FFFF
OWED = 0b1  # a row of this person is owed to the journeys topic
TOO_MANY = 0b10  # more touchpoints than a person may have: kept, but no journeys while that holds
COMPLETED = 0b1
DROPPED = 0b10  # the silence that lasts has been told as a drop-off
HISTORICAL = 0b100  # with DROPPED: as one that was known too late for an alert
GONE = 0xFFFF  # in place of a record's rules: the touchpoint left this person or was retracted

FEEDBACK = ("", "nps", "csat", "ces", "stars", "text")
SENTIMENT = ("", "negative", "neutral", "positive")
_FEEDBACK_CODE = {name: code for code, name in enumerate(FEEDBACK)}
_SENTIMENT_CODE = {name: code for code, name in enumerate(SENTIMENT)}
_SCORES = 12  # -1 … 10


class UnknownFormat(ValueError):
    """What is kept of a person was written by a release that this one does not know."""


def head(definitions: int) -> Struct:
    """What stands behind the records. Per definition: number of the first record of the open journey, flags, stage last
    entered; then of the person: when the newest news of them arrived, when to look at them (`deadlines.alarm`; 0: never), both
    in ms, flags."""
    return Struct(">" + "IBB" * definitions + "QQH")


def event(record: bytes) -> bytes:
    """The event id of a record, or of the first of several."""
    return record[12:ORDER_SIZE]


def alarm(value: bytes) -> int:
    """When a person, in whose head it stands, is to be looked at; 0: never."""
    return int.from_bytes(value[-10:-2], "big")


def news(value: bytes) -> int:
    """When the newest of what is kept of a person arrived, ms UTC."""
    return int.from_bytes(value[-18:-10], "big")


def present(value: bytes, arrived: int) -> bytes:
    """A person's value in the present format; `arrived` stands for the news of one that has none. Raises UnknownFormat."""
    if value[:1] == FORMAT:
        return value
    if value[:1] == BEFORE:
        return b"".join((FORMAT, value[1:-10], arrived.to_bytes(8, "big"), value[-10:]))
    raise UnknownFormat(f"{value[:1].hex()}, where {FORMAT.hex()} and {BEFORE.hex()} are known")


def owed(beat: int) -> int:
    """Flags of a person whose row is owed at this beat."""
    return (beat << 2 | OWED) & 0xFFFF


def owed_at(value: bytes, beat: int) -> bool:
    """Is a row of this person owed, the partition being at `beat`? What was written at a beat before is not any more; once
    in 16,384 beats one is written again, which is harmless."""
    return int.from_bytes(value[-2:], "big") & ~TOO_MANY == owed(beat)


def pack_feedback(kind: str, score: int, sentiment: str) -> int:
    """Kind, score (-1: none) and sentiment in 16 bits; 0: no feedback."""
    code = _FEEDBACK_CODE.get(kind, 0)
    return (code * _SCORES + score + 1) * 4 + _SENTIMENT_CODE.get(sentiment, 0) if code else 0


def unpack_feedback(packed: int) -> tuple[str, int, str]:
    code, score = divmod(packed >> 2, _SCORES)
    return FEEDBACK[code], score - 1 if code else -1, SENTIMENT[packed & 3]


class Columns(NamedTuple):
    """What a journey's row needs of its records, column by column, in journey order; texts as codes."""

    at: tuple[int, ...]
    channel: tuple[int, ...]
    name: tuple[int, ...]
    rules: tuple[int, ...]
    feedback: tuple[int, ...]
    money: tuple[int, ...]


@lru_cache(maxsize=1024)
def _many(count: int) -> Struct:
    return Struct(">" + "Q20x6xHHHHq" * count)


def columns(records: bytes) -> Columns:
    """Decode consecutive records (at least one)."""
    flat = _many(len(records) // SIZE).unpack(records)
    return Columns(flat[0::6], flat[1::6], flat[2::6], flat[3::6], flat[4::6], flat[5::6])


class Vocabulary:
    """Codes of one partition for channels, names, rules and currencies; a new text is a new state record.

    Code 0 is `other`: what came after `limit` texts. Codes never change.
    """

    def __init__(self, kind: bytes, limit: int) -> None:
        self.kind = kind
        self.limit = limit
        self.texts: list[str] = ["other"]
        self.codes: dict[str, int] = {}
        self.fresh: list[int] = []

    def code(self, text: str) -> int:
        found = self.codes.get(text)
        if found is not None:
            return found
        if len(self.texts) > self.limit:
            return 0
        self.fresh.append(len(self.texts))
        self.codes[text] = len(self.texts)
        self.texts.append(text)
        return self.codes[text]

    def key(self, code: int) -> bytes:
        return b"v" + self.kind + code.to_bytes(2, "big")

    def take_fresh(self) -> dict[bytes, bytes | None]:
        """The state records of what was added since this was last asked."""
        records: dict[bytes, bytes | None] = {self.key(code): self.texts[code].encode() for code in self.fresh}
        self.fresh.clear()
        return records

    def restore(self, code: int, text: str) -> None:
        while len(self.texts) <= code:
            self.texts.append("other")
        self.texts[code] = text
        self.codes[text] = code


# Kind of a vocabulary → how many texts it takes; the rules' codes stay below GONE, the currencies' fit beside the amount.
VOCABULARIES = {b"c": 10_000, b"n": 10_000, b"r": GONE - 1, b"m": 254}


def vocabularies(state: Mapping[bytes, bytes]) -> dict[bytes, Vocabulary]:
    """The vocabularies of a partition by kind (channels, names, rules, money), as far as its state has them."""
    known = {kind: Vocabulary(kind, limit) for kind, limit in VOCABULARIES.items()}
    for key, text in state.items():
        if key[:1] == b"v":
            known[key[1:2]].restore(int.from_bytes(key[2:], "big"), text.decode())
    return known
