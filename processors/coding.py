"""What a home keeps of a touchpoint besides its place in time: its fold record, in the codes of the partition."""

from __future__ import annotations

from collections.abc import Mapping

from processors import packing
from schemas.person import FoldRecord

MAX_REMEMBERED = 100_000
Payload = tuple[int, int, int, int, int]  # channel, name, rules, feedback, money


class Coding:
    """Codes fold records and makes them of codes again; what is new to it becomes a record of the state."""

    def __init__(self, state: Mapping[bytes, bytes]) -> None:
        self._vocabularies = packing.vocabularies(state)
        self._channels, self._names, self._rules, self._currencies = self._vocabularies.values()
        self._codes: dict[int, tuple[list[int], int]] = {}
        self._plain: dict[tuple[str, str], tuple[list[int], Payload]] = {}
        self._numbers: dict[int, list[int]] = {}

    def pack(self, record: FoldRecord) -> Payload:
        rules, plain = record.rules, not (record.feedback or record.currency)
        if plain:  # nearly all are, and there are few of them
            found = self._plain.get((record.channel, record.name))
            if found is not None and found[0] is rules:
                return found[1]
        payload = self._pack(record)
        if plain:
            if len(self._plain) > MAX_REMEMBERED:
                self._plain.clear()
            self._plain[record.channel, record.name] = rules, payload
        return payload

    def _pack(self, record: FoldRecord) -> Payload:
        rules = record.rules
        known = self._codes.get(id(rules))  # the rules of equal touchpoints are one object, which is quicker to look up
        if known is None or known[0] is not rules:
            if len(self._codes) > MAX_REMEMBERED:
                self._codes.clear()
            known = self._codes[id(rules)] = rules, self._rules.code(bytes(rules).hex())
        return (
            self._channels.codes.get(record.channel) or self._channels.code(record.channel),
            self._names.codes.get(record.name) or self._names.code(record.name),
            known[1],
            packing.pack_feedback(record.feedback, record.score, record.sentiment) if record.feedback else 0,
            record.amount << 8 | self._currencies.code(record.currency) if record.currency else 0,
        )

    def unpack(self, at: int, sequence: int, payload: Payload) -> FoldRecord:
        channel, name, rules, feedback, money = payload
        numbers = self._numbers.get(rules)
        if numbers is None:
            numbers = self._numbers[rules] = list(bytes.fromhex(self._rules.texts[rules])) if rules else []
        kind, score, sentiment = packing.unpack_feedback(feedback)
        return FoldRecord(
            at,
            self._channels.texts[channel],
            self._names.texts[name],
            numbers,
            sequence,
            money >> 8,
            self._currencies.texts[money & 0xFF] if money else "",
            kind,
            score,
            sentiment,
        )

    def take_fresh(self) -> dict[bytes, bytes | None]:
        """The state records of what was added since this was last asked."""
        found: dict[bytes, bytes | None] = {}
        for vocabulary in self._vocabularies.values():
            found |= vocabulary.take_fresh()
        return found
