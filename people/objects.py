"""A customer's life as JSON values: times RFC 3339 in UTC or null, stages by name, money in minor units."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from people.life import Life, Told, Touchpoint
from people.now import Now


def life(life: Life) -> dict[str, Any]:
    """All of it."""
    return {
        "person_id": str(life.person),
        "identifiers": list(life.identifiers),
        "journeys": [
            journey(told)
            | {
                "drop_offs": _drop_offs(told),
                "touchpoints": [touchpoint(one, told.stage(one)) for one in told.touchpoints],
            }
            for told in life.journeys
        ],
        "in_no_journey": [touchpoint(one, "") for one in life.outside],
    }


def journey(told: Told) -> dict[str, Any]:
    """How it stands, without its touchpoints."""
    row = told.journey
    return {
        "journey_id": str(UUID(row.journey_id)),
        "definition": row.definition,
        "definition_version": row.definition_version,
        "status": row.status,
        "entry_channel": row.entry_channel,
        "value": row.value,
        "peak_end": row.peak_end,
        "started_at": time(row.started_at),
        "last_at": time(row.last_at),
        "completed_at": time(row.completed_at),
        "due_at": time(row.due_at),
        "stage": told.stage_name(row.stage) or None,
        "furthest_stage": told.stage_name(row.furthest_stage) or None,
        "path": told.path,
    }


def now(now: Now) -> dict[str, Any]:
    """What somebody is in the middle of."""
    deadline = now.next_deadline
    return {
        "person_id": str(now.life.person),
        "as_of": time(now.as_of),
        "touchpoints": len(now.life.touchpoints),
        "open_journeys": [journey(told) for told in now.open],
        "next_deadline": None
        if deadline is None
        else {
            "at": time(deadline.journey.due_at),
            "journey_id": str(UUID(deadline.journey.journey_id)),
            "definition": deadline.journey.definition,
            "stage": deadline.stage_name(deadline.journey.stage) or None,
        },
        "last_touchpoints": [_with_stages(one, now) for one in now.last],
        "feedback": [_with_stages(one, now) for one in now.feedback],
    }


def _with_stages(one: Touchpoint, now: Now) -> dict[str, Any]:
    said = touchpoint(one, "")
    del said["stage"]
    return said | {"stages": now.stages(one)}


def _drop_offs(told: Told) -> list[dict[str, Any]]:
    row = told.journey
    silences = zip(row.drop_off_at, row.drop_off_stage, row.drop_off_step, row.recovered_at, strict=True)
    return [
        {"at": time(at), "stage": told.stage_name(rank) or None, "step": step, "recovered_at": time(back)}
        for at, rank, step, back in silences
    ]


def touchpoint(one: Touchpoint, stage: str) -> dict[str, Any]:
    """A touchpoint, with what it carries; `stage` is what it means to the journey that is told, "" for nothing."""
    said: dict[str, Any] = {
        "event_id": str(UUID(bytes=one.event)),
        "occurred_at": time(one.at),
        "channel": one.channel,
        "name": one.name,
        "stage": stage or None,
    }
    if one.store:
        said["store"] = one.store
    if one.currency:
        said["value"] = {"amount": one.amount, "currency": one.currency}
    if one.feedback:
        said["feedback"] = {
            "kind": one.feedback,
            "score": one.score if one.score >= 0 else None,
            "sentiment": one.sentiment or None,
            "text": one.text or None,
        }
    return said


def time(at: int) -> str | None:
    """ms UTC → RFC 3339; 0: none."""
    if not at:
        return None
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
