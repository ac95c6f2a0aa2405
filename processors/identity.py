"""The identity leg: whose is each touchpoint? One `IdentityPartition` holds the homes and events of one partition.

The rule here is the simple one: a touchpoint belongs to the person of its first strong identifier, else of its first weak one.
The interface is final: it alone says whose a touchpoint is (`Assigned`, with a version), recognises duplicates and conflicts,
evaluates the rules of the journey definitions once, and says how far it has read (`ReadTo`).

State: per home the ids of its touchpoints with a hash of their content; per event that has revisions the newest one and its
owner; and which journey definitions it was made with. A home sees all touchpoints of revision 0 that it keeps; a touchpoint
with a revision comes by its event id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from struct import Struct
from typing import Annotated, Any, cast
from uuid import UUID

import msgspec

from processors.dead_letters import DeadLetters, decode_each
from processors.stitching import DefinitionsChanged
from runtime.chunked.leg import Chunk, Output
from runtime.chunked.slices import SLICE, Gathered, slices
from runtime.kafka import partition_of
from schemas.codec import encode
from schemas.definition import Definition, Rules, content_hash
from schemas.identity import DEFAULT_KINDS, Kinds, home, person_id
from schemas.person import Assigned, FoldRecord, Identity, ReadTo
from schemas.touchpoint import EARLIEST, LATEST, MAX_MINOR_UNITS, MAX_SEQUENCE

FORMAT = b"\x01"
DEFINITIONS_KEY = b"d"
READ_TO_EVERY = 250  # ms
_CONTENT_BYTES = 8
_EVENT_BYTES = 16
_RECORD = _EVENT_BYTES + _CONTENT_BYTES
_REVISED = Struct(">I8s16s?")  # revision, content, owner, given (or retracted)


Whole = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Label = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
_EARLIEST, _LATEST = (int(moment.timestamp() * 1000) for moment in (EARLIEST, LATEST))


class _Money(msgspec.Struct, gc=False):
    amount: Annotated[int, msgspec.Meta(ge=-MAX_MINOR_UNITS, le=MAX_MINOR_UNITS)]
    currency: Annotated[str, msgspec.Meta(min_length=3, max_length=3)]


class _Felt(msgspec.Struct, gc=False):
    kind: str
    score: Annotated[int, msgspec.Meta(ge=0, le=10)] | None = None
    sentiment: str | None = None


class Seen(msgspec.Struct, gc=False):
    """What this leg reads of a `StoredTouchpoint`; other fields are skipped without being decoded.

    It checks whatever would make this leg or those behind it fail: a record that somebody else wrote becomes a dead letter,
    not a crash, and not a row that ClickHouse refuses.
    """

    event_id: UUID
    source: Label
    identifiers: dict[str, Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]]  # its normal form may be longer
    channel: Label
    name: Label
    occurred_at: Annotated[int, msgspec.Meta(ge=_EARLIEST, le=_LATEST)]
    content: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    sequence: Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQUENCE)] | None = None
    revision: Whole = 0
    retracted: bool = False
    value: _Money | None = None
    feedback: _Felt | None = None
    properties: dict[str, Any] = {}


_decoder = msgspec.json.Decoder(Seen)


class IdentityPartition:
    """See the module. Implements `runtime.chunked.leg.Partition`."""

    def __init__(
        self,
        number: int,
        definitions: Sequence[Definition],
        *,
        secret: bytes,
        partitions: int,
        touchpoints: str,
        people: str,
        identities: str,
        dead_letters: DeadLetters,
        kinds: Kinds = DEFAULT_KINDS,
    ) -> None:
        self._number = number
        self._partitions = partitions
        self._touchpoints = touchpoints
        self._people = people
        self._identities = identities
        self._dead_letters = dead_letters
        self._kinds = kinds
        self._strong = tuple(kind.name for kind in kinds.ordered if kind.strong)
        self._rules = Rules(definitions)
        self._definitions = FORMAT + content_hash(definitions)
        self._definitions_kept = False
        self._person = lru_cache(1 << 16)(lambda identifier: person_id(identifier, secret).hex)
        self._gathered: Gathered | None = Gathered()
        self._state: dict[bytes, bytes | bytearray] = {}
        self._indexes: dict[bytes, dict[bytes, bytes]] = {}
        self._changed: dict[bytes, int] = {}
        self._known: dict[str, str] = {}  # identifiers announced in this process → person
        self._out: list[Output] = []
        self._said_at = 0
        self._read_to = 0

    # --- state ---------------------------------------------------------------------------------------------------

    def restore(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        assert self._gathered is not None, "restore comes before everything else"
        for key, value in records:
            self._gathered.put(key, value)

    def _open(self) -> None:
        assert self._gathered is not None
        self._state = cast(dict[bytes, bytes | bytearray], self._gathered.whole())
        self._gathered = None
        # Before anything is said with other rules: it would be in the log of `people` for good.
        known = self._state.pop(DEFINITIONS_KEY, None)
        self._definitions_kept = known is not None
        if known not in (None, self._definitions):
            raise DefinitionsChanged(
                f"the state of partition {self._number} was made with other journey definitions than the configured ones: put "
                "the old file back; a change of definitions needs a new generation"
            )

    # --- input ---------------------------------------------------------------------------------------------------

    def take(self, chunk: Chunk) -> None:
        if self._gathered is not None:
            self._open()
        seen, refused = decode_each(_decoder, chunk, self._dead_letters)
        self._out += refused
        for place, touchpoint in seen:
            identifiers = touchpoint.identifiers
            owner = self._owner(identifiers)
            if owner is None:
                self._refuse(
                    chunk, place, touchpoint, "no_identifier", "none of its identifiers is of a configured kind"
                )
            elif touchpoint.revision:
                self._revise(chunk, place, touchpoint, owner)
            else:
                self._settle(chunk, place, touchpoint, owner)

    def _owner(self, identifiers: Mapping[str, str]) -> str | None:
        """The person's smallest identifier under the simple rule."""
        for name in self._strong:
            if name in identifiers:
                return f"{name}:{identifiers[name]}"
        return home(identifiers, self._kinds) or None

    def _settle(self, chunk: Chunk, place: int, touchpoint: Seen, owner: str) -> None:
        """A final touchpoint comes home."""
        key = b"h" + home(touchpoint.identifiers, self._kinds).encode()
        event, content = touchpoint.event_id.bytes, _content(touchpoint)
        value = self._state.get(key, FORMAT)
        known: bytes | bytearray | None
        if len(value) > SLICE:
            known = self._index(key, value).get(event)
        else:
            at = _find(value, event)
            known = value[at + _EVENT_BYTES : at + _RECORD] if at >= 0 else None
        if known is not None:
            if known != content:
                self._conflict(chunk, place, touchpoint)
            return
        self._changed.setdefault(key, len(value))
        if len(value) > SLICE:
            self._append(key, value, event, content)
        else:
            self._state[key] = b"".join((value, event, content))
        if touchpoint.retracted:
            return
        person = self._person(owner)
        self._assign(person, event, touchpoint, 1, chunk.timestamps[place], given=True)
        self._announce(touchpoint, person)

    def _append(self, key: bytes, value: bytes | bytearray, event: bytes, content: bytes) -> None:
        """To a home with thousands of touchpoints, without copying it."""
        self._index(key, value)[event] = content
        if not isinstance(value, bytearray):
            value = self._state[key] = bytearray(value)
        value += event
        value += content

    def _index(self, key: bytes, value: bytes | bytearray) -> dict[bytes, bytes]:
        """Event → content's hash of a home with thousands of touchpoints (a kiosk, a probe, an app that sends "undefined"):
        looking through it and copying it for each would bring its worker to a standstill."""
        index = self._indexes.get(key)
        if index is None:
            index = self._indexes[key] = {
                bytes(value[at : at + _EVENT_BYTES]): bytes(value[at + _EVENT_BYTES : at + _RECORD])
                for at in range(1, len(value), _RECORD)
            }
        return index

    def _revise(self, chunk: Chunk, place: int, touchpoint: Seen, owner: str) -> None:
        """A touchpoint with a revision comes by its event id: the highest revision counts."""
        event, content = touchpoint.event_id.bytes, _content(touchpoint)
        key = b"e" + event
        known = self._state.get(key)
        person, given = self._person(owner), not touchpoint.retracted
        arrived = chunk.timestamps[place]
        if known is not None:
            revision, known_content, known_person, was_given = _REVISED.unpack_from(known, 1)
            if touchpoint.revision == revision and content != known_content:
                self._conflict(chunk, place, touchpoint)
            if touchpoint.revision <= revision:
                return
            if was_given and (known_person.hex() != person or not given):
                self._assign(known_person.hex(), event, touchpoint, 0, arrived, given=False)
        self._changed[key] = 0
        self._state[key] = FORMAT + _REVISED.pack(touchpoint.revision, content, bytes.fromhex(person), given)
        if given:
            self._assign(person, event, touchpoint, 1, arrived, given=True)
            self._announce(touchpoint, person)

    def _assign(self, person: str, event: bytes, touchpoint: Seen, move: int, arrived: int, *, given: bool) -> None:
        record = None
        if given:
            value, felt, sequence = touchpoint.value, touchpoint.feedback, touchpoint.sequence
            record = FoldRecord(
                at=touchpoint.occurred_at,
                channel=touchpoint.channel,
                name=touchpoint.name,
                rules=self._rules.of(touchpoint.channel, touchpoint.name, touchpoint.properties),
                sequence=-1 if sequence is None else sequence,
                amount=value.amount if value else 0,
                currency=value.currency if value else "",
                feedback=felt.kind if felt else "",
                score=-1 if felt is None or felt.score is None else felt.score,
                sentiment=felt.sentiment or "" if felt else "",
            )
        key = person.encode()
        said = Assigned(person, event.hex(), touchpoint.revision, move, arrived, record)
        self._out.append(Output(self._people, partition_of(key, self._partitions), key, encode(said)))

    def _announce(self, touchpoint: Seen, person: str) -> None:
        """Tell whose an identifier is where that is news; a weak one is its latest user's."""
        for name, value in touchpoint.identifiers.items():
            identifier = f"{name}:{value}"
            if self._known.get(identifier) == person:
                continue
            if len(self._known) > 500_000:  # announcing again is harmless; growing without end is not
                self._known.clear()
            self._known[identifier] = person
            key = identifier.encode()
            row = Identity(identifier, person, touchpoint.occurred_at, touchpoint.source)
            self._out.append(Output(self._identities, partition_of(key, self._partitions), key, encode(row)))

    def _conflict(self, chunk: Chunk, place: int, touchpoint: Seen) -> None:
        self._refuse(
            chunk,
            place,
            touchpoint,
            "conflicting",
            f"an earlier touchpoint has the same event_id and revision {touchpoint.revision} with other content, and stands; "
            "to correct a touchpoint send it with a higher revision",
        )

    def _refuse(self, chunk: Chunk, place: int, touchpoint: Seen, reason: Any, message: str) -> None:
        self._out.append(
            self._dead_letters.output(
                chunk.values[place] or b"",
                source=touchpoint.source,
                reason=reason,
                address=f"{chunk.topic}/{chunk.partition}/{chunk.offsets[place]}",
                message=message,
                at=chunk.timestamps[place],
                path="event_id" if reason == "conflicting" else "identifiers",
            )
        )

    # --- output --------------------------------------------------------------------------------------------------

    def tick(self, now: int, read_to: Mapping[str, int]) -> None:
        at = read_to.get(self._touchpoints, 0)
        if at > self._read_to and now - self._said_at >= READ_TO_EVERY:
            self._read_to, self._said_at = at, now
            said = encode(ReadTo(self._number, at))
            self._out += [Output(self._people, p, None, said) for p in range(self._partitions)]

    def pending(self) -> bool:
        return bool(self._out or self._changed)

    def collect(self, now: int) -> tuple[Mapping[bytes, bytes | None], Sequence[Output]]:
        state: dict[bytes, bytes | None] = {}
        for key, changed_from in self._changed.items():
            value = self._state[key]
            if len(value) <= SLICE:
                state[key] = bytes(value)
            else:
                state |= slices(key, value, changed_from)
        if state and not self._definitions_kept:
            state[DEFINITIONS_KEY] = self._definitions
            self._definitions_kept = True
        self._changed = {}
        out, self._out = self._out, []
        return state, out


def _content(touchpoint: Seen) -> bytes:
    """The content's hash, as far as it is kept."""
    return bytes.fromhex(touchpoint.content[: 2 * _CONTENT_BYTES])


def _find(value: bytes | bytearray, event: bytes) -> int:
    """Where the record of an event begins, or -1. (A hit that is not at a record's begin is chance: look on.)"""
    at = value.find(event, 1)
    while at >= 0 and (at - 1) % _RECORD:
        at = value.find(event, at + 1)
    return at
