"""A step of a walk → the touchpoint that the company's systems send about it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from ingest.simulator.company import VivanLosTacos
from ingest.simulator.customers import Customer
from ingest.simulator.walk import Step

Message = dict[str, Any]
_DEVICE_CHANNELS = frozenset(("web", "app"))


@lru_cache(maxsize=16)
def _minute(minute: int) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%M:")


def rfc3339(at: int) -> str:
    """ms UTC → text with ms and zone."""
    minute, rest = divmod(at, 60_000)
    return f"{_minute(minute)}{rest // 1000:02d}.{rest % 1000:03d}Z"


def event_id(customer: Customer, step: Step) -> str:
    return f"{customer.run}-{customer.number}-{step.number}"


def message(customer: Customer, step: Step, at: int, company: VivanLosTacos) -> Message:
    """The touchpoint as `schemas.touchpoint.Touchpoint` wants it. Websites, apps and tills count what they send."""
    channel = step.moment.channel
    sent: Message = {
        "event_id": event_id(customer, step),
        "channel": channel,
        "name": step.moment.name,
        "identifiers": step.identifiers,
        "occurred_at": rfc3339(at),
    }
    if channel in _DEVICE_CHANNELS:
        stream = f"{channel}-{customer.run}-{customer.number}"
        sent["sequence"], sent["stream"] = customer.next_on(channel), stream
    elif channel == "store" and "store" in step.context:
        stream = f"{step.context['store']}-{customer.run}"
        sent["sequence"], sent["stream"] = company.next_in(stream), stream
    if step.context:
        sent["context"] = step.context
    if step.amount:
        sent["value"] = {"amount": step.amount, "currency": "MXN"}
    if step.feedback is not None:
        answer = step.feedback
        given = {"kind": answer.kind, "score": answer.score, "sentiment": answer.sentiment, "text": answer.text}
        sent["feedback"] = {name: value for name, value in given.items() if value is not None}
        sent["feedback"]["about"] = event_id(customer, answer.about)
    if step.properties:
        sent["properties"] = step.properties
    return sent
