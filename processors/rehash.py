"""Which partition a state key belongs to, and what it becomes there: the pure part of `desireline topics resize`.

Keys carry everything, partitions nothing but their vocabulary and their counter. So resizing moves the keys whose partition
changed, writes a person's records with the codes of their new partition, and starts every counter above the highest.
Doing it twice, or again after it broke off half way, ends in the same state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from processors.packing import GONE, RECORD, VOCABULARIES, Vocabulary, head, owed, owed_at, present, vocabularies
from processors.rehash_identity import IdentityRehash
from processors.stitching import Meta
from runtime.chunked.slices import Gathered, slices
from runtime.kafka import partition_of
from schemas.codec import encode

State = dict[bytes, bytes | None]


class Move(NamedTuple):
    """`written` is to appear in the changelog's partition `target` and `removed` to go from `source`, in one transaction."""

    source: int
    target: int
    written: State
    removed: State


def _moved(source: int, target: int, key: bytes, before: bytes, after: bytes) -> Move:
    return Move(source, target, slices(key, after), dict.fromkeys(slices(key, before)))


def identity_moves(states: Sequence[Gathered], partitions: int) -> Iterator[Move]:
    """The identity leg anew: `states` by partition, with as many entries as there will be partitions.

    What lives somewhere by its own key (homes, events, names, blocked devices) moves with it. What a partition says to others
    (links, who follows whom, what it heard) follows from that and is made anew; the counter starts above the highest, so that
    whatever is said from now on counts.
    """
    yield from IdentityRehash(states, partitions).moves()


def stitch_moves(states: Sequence[Gathered], partitions: int) -> Iterator[Move]:
    """People of the stitch leg, coded anew; then every partition's vocabulary and meta record."""
    values = [gathered.whole() for gathered in states]
    known = [vocabularies(state) for state in values]
    own = [msgspec.json.decode(state[b"m"], type=Meta) if b"m" in state else None for state in values]
    metas = [meta for meta in own if meta]
    beats = [meta.beat if meta else 0 for meta in own]
    head_size = head(len(metas[0].definitions.split(","))).size if metas else 0
    as_of = min((min(meta.read_to.values(), default=0) for meta in metas), default=0)
    news_since = max((meta.news_since for meta in metas), default=0) or as_of
    for source, state in enumerate(values):
        for key, value in state.items():
            if key[:1] != b"p":
                continue
            target = partition_of(key[1:].hex().encode(), partitions)
            if target != source:
                recoded = _recode(present(value, news_since), head_size, known[source], known[target])
                if owed_at(value, beats[source]):
                    recoded = recoded[:-2] + owed(beats[target]).to_bytes(2, "big")
                # the new texts are written before the records that are coded with them
                yield Move(source, target, _fresh(known[target]), {})
                yield _moved(source, target, key, value, recoded)
    if metas:
        counter = max(meta.counter for meta in metas)
        deadlines_at = min(meta.deadlines_at for meta in metas)
        waits_until = max(meta.waits_until for meta in metas)
        told = all(meta.outcomes for meta in metas)
        for number in range(partitions):
            meta = Meta(
                metas[0].definitions,
                counter,
                dict.fromkeys(range(partitions), as_of),
                beats[number],
                deadlines_at,
                waits_until,
                told,
                max(meta.replayed_until for meta in metas),
                news_since,
            )
            yield Move(number, number, {b"m": encode(meta)}, {})


def _recode(value: bytes, head_size: int, old: dict[bytes, Vocabulary], new: dict[bytes, Vocabulary]) -> bytes:
    """A person's value with the same content in the codes of another partition."""

    def code(kind: bytes, number: int) -> int:
        return new[kind].code(old[kind].texts[number]) if number else 0

    end = len(value) - head_size
    parts = [value[:1]]
    for at, sequence, event, revision, move, channel, name, rules, feedback, money in RECORD.iter_unpack(value[1:end]):
        gone = rules == GONE
        parts.append(
            RECORD.pack(
                at,
                sequence,
                event,
                revision,
                move,
                code(b"c", channel),
                code(b"n", name),
                rules if gone else code(b"r", rules),
                feedback,
                (money >> 8 << 8) | code(b"m", money & 0xFF),
            )
        )
    return b"".join((*parts, value[end:]))


def _fresh(known: dict[bytes, Vocabulary]) -> State:
    """The records of texts that a vocabulary has just gained."""
    written: State = {}
    for vocabulary in known.values():
        written |= vocabulary.take_fresh()
    return written


Moves = Callable[[Sequence[Gathered], int], Iterator[Move]]
assert VOCABULARIES.keys() == {b"c", b"n", b"r", b"m"}, "a new vocabulary must be recoded above"
