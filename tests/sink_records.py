"""Records as the legs before the sink write them, for its tests: deterministic by number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import msgspec

from schemas.alert import Alert
from schemas.codec import decode_stored, encode
from schemas.journey import Journey
from schemas.late import late
from schemas.ledger import Counted, Decision
from schemas.outcome import Outcome
from schemas.person import Assigned, FoldRecord, Identity, ReadTo

MARCH = 1_772_323_200_000  # 2026-03-01T00:00:00Z in ms
HOUR = 3_600_000
NAMES = ("landing", "page_view", "product_viewed", "checkout", "purchase", "complaint")
CHANNELS = ("web", "web", "app", "store", "call_center")


@dataclass(frozen=True)
class FakeRecord:
    """A Kafka record that has not been in Kafka."""

    topic: str
    offset: int
    value: bytes
    partition: int = 0
    timestamp: int = MARCH


def identifier(kind: str, number: int) -> UUID:
    """The same UUID for the same kind of thing and number."""
    return uuid5(NAMESPACE_OID, f"{kind}-{number}")


def touchpoint(number: int, **changes: Any) -> bytes:
    """A stored touchpoint with a bit of everything; one customer has ten."""
    content = {
        "event_id": str(identifier("event", number)),
        "source": "shop",
        "address": f"customer_id:{number // 10}",
        "identifiers": {"customer_id": str(number // 10), "email": f"c{number // 10}@example.org"},
        "channel": CHANNELS[number % 5],
        "name": NAMES[number % 6],
        "occurred_at": MARCH + number * 1_000,
        "received_at": MARCH + number * 1_000 + 250,
        "content": f"{number:032x}",
        "sent_at": MARCH + number * 1_000 + 100,
        "source_event_id": f"e-{number}",
        "sequence": number % 10,
        "stream": f"shop/{number // 10}",
        "context": {"page": f"https://shop.example/{number % 50}", "device": "mobile", "locale": "es-MX"},
        "value": {"amount": number, "currency": "MXN"},
        "feedback": {"kind": "nps", "score": number % 11} if number % 7 == 0 else None,
        "properties": {"category": "tacos", "position": number % 20, "tags": ["a", {"b": None}], "café": "sí"},
    } | changes
    raw = msgspec.json.encode({name: value for name, value in content.items() if value is not None})
    decode_stored.decode(raw)  # it is what the topic holds
    return raw


def assigned(number: int, *, person: int | None = None, move: int = 0, gone: bool = False, **changes: Any) -> bytes:
    """Whose the touchpoint is."""
    record = FoldRecord(
        at=MARCH + number * 1_000,
        channel=CHANNELS[number % 5],
        name=NAMES[number % 6],
        rules=[number % 9],
        sequence=number % 10,
        amount=number,
        currency="MXN",
        feedback="nps" if number % 7 == 0 else "",
        score=number % 11 if number % 7 == 0 else -1,
    )
    said = Assigned(
        person_id=identifier("person", number // 10 if person is None else person).hex,
        event_id=identifier("event", number).hex,
        revision=changes.get("revision", 0),
        move=move,
        arrived=MARCH + number * 1_000 + 300,
        record=None if gone else msgspec.structs.replace(record, **changes.get("record", {})),
        cause=changes.get("cause", ""),
    )
    return encode(said)


def came_late(number: int, **options: Any) -> bytes:
    """What the stitch leg says of `assigned` with the same options, when all journeys were closed long ago."""
    said = msgspec.json.decode(assigned(number, **options), type=Assigned)
    return encode(late(said, MARCH + HOUR))


def watermark(at: int = MARCH) -> bytes:
    return encode(ReadTo(0, at))


def identity(
    number: int, *, person: int | None = None, at: int = MARCH, version: int = 1, shared: bool = False
) -> bytes:
    """Whose the customer number is."""
    own = identifier("person", number)
    owner = own if person is None else identifier("person", person)
    return encode(Identity(f"customer_id:{number}", owner.hex, own.hex, at, version, shared))


def identity_before(number: int, *, person: int, at: int = MARCH) -> bytes:
    """Whose the customer number is, as the release before says it."""
    owner = identifier("person", person)
    return encode({"identifier": f"customer_id:{number}", "person_id": owner.hex, "at": at, "source": "shop"})


def counted(
    counts: dict[Decision, int], *, source: str = "shop", hour: int = MARCH, generation: int = 1, partition: int = 0
) -> bytes:
    """What a partition of the identity leg decided about what arrived in an hour."""
    return encode(Counted("identity", generation, partition, source, hour, counts))


def journey(number: int, *, version: int = 1, steps: int = 3, **changes: Any) -> bytes:
    """A journey that went through the stages 1 … `steps` a minute apart, on the web and then in the store."""
    started = MARCH + number * HOUR // 4
    times = [started + step * 60_000 for step in range(steps)]
    channels = ["web" if step < 2 else "store" for step in range(steps)]
    content: dict[str, Any] = {
        "journey_id": identifier("journey", number).hex,
        "person_id": identifier("person", number).hex,
        "definition": "purchase",
        "definition_version": 1,
        "started_at": started,
        "last_at": times[-1],
        "status": "open",
        "stage": steps,
        "furthest_stage": steps,
        "stages": sum(1 << stage for stage in range(1, steps + 1)),
        "completed_at": 0,
        "due_at": times[-1] + 10**12,  # not in this century's tests
        "touchpoints": steps,
        "entry_channel": channels[0],
        "value": {"MXN": 12_50, "EUR": number},
        "peak_end": None,
        "drop_off_at": [],
        "drop_off_stage": [],
        "drop_off_step": [],
        "recovered_at": [],
        "feedback_kind": ["nps"],
        "feedback_score": [number % 11],
        "feedback_step": [0],
        "path_time": times,
        "path_channel": channels,
        "path_touchpoint": [NAMES[step % 6] for step in range(steps)],
        "path_stage": list(range(1, steps + 1)),
        "arrived_at": times[-1] + 300,
        "version": version,
    }
    return encode(Journey(**(content | changes)))


def outcome(number: int, *, version: int = 1, retracted: bool = False, kind: Any = "dropped_off") -> bytes:
    """Something happened to the journey."""
    return encode(
        Outcome(
            outcome_id=identifier("outcome", number).hex,
            journey_id=identifier("journey", number).hex,
            person_id=identifier("person", number).hex,
            definition="purchase",
            kind=kind,
            at=MARCH + number * HOUR,
            stage=2,
            channel="web",
            touchpoint="page_view",
            historical=False,
            retracted=retracted,
            version=version,
        )
    )


def alert(number: int, *, version: int = 1, change: Any = "opened") -> bytes:
    """Something was worse than usual."""
    return encode(
        Alert(
            alert_id=identifier("alert", number).hex,
            change=change,
            journey="purchase",
            stage=4,
            channel="web",
            measure="progress",
            since=MARCH + number * HOUR,
            opened_at=MARCH + number * HOUR + 300_000,
            resolved_at=MARCH + number * HOUR + 900_000 if change == "resolved" else 0,
            settled=False,
            stays=80,
            expected=0.75,
            observed=0.4,
            lost=28.0,
            also=["purchase·4·app·progress"],
            version=version,
        )
    )
