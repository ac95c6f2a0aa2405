"""Detractors to call back and promoters to thank, as they answer: from the people topic, with what led to it, to webhooks.

Told once: when the answer first becomes somebody's, not when they turn out to be another; in the live generation only; and
not of history (an answer that is older than a day when it arrives).
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import structlog
from clickhouse_driver.errors import Error as ClickHouseError

from alerts.message import Message, escaped
from alerts.webhooks import Stopped
from runtime.settings import ClickHouseSettings
from runtime.stopping import stopped
from schemas import topics
from schemas.codec import encode
from schemas.feedback import wanted
from schemas.person import Assigned
from sinks.follow_ups import Story, stories
from sinks.generations import live
from sinks.reader import reader

log = structlog.get_logger()
GROUP = "feedback-webhooks"
HISTORY_MS = 86_400_000
STORED_SECONDS = 45.0  # so long the story is waited for; then it is told without
AGAIN_SECONDS = 0.5
GENERATION_SECONDS = 10.0
_MARK = b'"feedback":"nps"'
_DOES = {"call_back": "Call back", "thank": "Thank"}
_decoder = msgspec.json.Decoder(Assigned)


def asked_for(value: bytes) -> Assigned | None:
    """The answer in a record of the people topic, if somebody is to be called back or thanked because of it."""
    if _MARK not in value:
        return None
    said = _decoder.decode(value)
    record = said.record
    if (
        record is None
        or said.cause
        or said.arrived - record.at > HISTORY_MS
        or not wanted(record.feedback, record.score)
    ):
        return None
    return said


def message(said: Assigned, story: Story) -> Message:
    """`text` for people, in Slack's markup, and `follow_up` for programs."""
    record = said.record
    assert record is not None
    does = wanted(record.feedback, record.score)
    assert does is not None
    who = story.who or str(UUID(said.person_id))
    about = f" about {story.channel} {story.touchpoint}" if story.touchpoint else ""
    at = datetime.fromtimestamp(record.at / 1000, UTC)
    lines = [f"*{_DOES[does]}* {escaped(who)}: NPS {record.score}{escaped(about)}; {at:%Y-%m-%d %H:%M} UTC"]
    if story.steps:
        lines.append(escaped(" → ".join(f"{step.channel} {step.touchpoint}" for step in story.steps)))
    if story.text:
        lines.append(f"“{escaped(' '.join(story.text.split()))}”")
    event = str(UUID(said.event_id))
    follow_up = {
        "event_id": event,
        "person_id": str(UUID(said.person_id)),
        "identifier": story.who or None,
        "wanted": does,
        "nps": record.score,
        "answered_at": record.at,
        "about": {"channel": story.channel, "touchpoint": story.touchpoint} if story.touchpoint else None,
        "text": story.text or None,
        "did": [step._asdict() for step in story.steps],
    }
    return Message(event, encode({"text": "\n".join(lines), "follow_up": follow_up}))


class Answers:
    """Makes messages of records, and waits until what they tell is stored."""

    def __init__(self, clickhouse: ClickHouseSettings, stop: asyncio.Event) -> None:
        self._clickhouse = clickhouse
        self._stop = stop
        self._live = 1
        self._asked_at = float("-inf")

    async def message_of(self, record: Any) -> Message | None:
        """None if nobody is to be told of it. Raises Stopped."""
        said = asked_for(record.value)
        if said is None:
            return None
        give_up = time.monotonic() + STORED_SECONDS
        while True:
            try:
                if topics.split(record.topic)[1] != await asyncio.to_thread(self._live_generation):
                    return None
                story = await asyncio.to_thread(self._story, said)
                if story.steps:
                    return message(said, story)
            except (ClickHouseError, OSError, EOFError) as error:
                story = Story()
                log.warning("a story waits", error=str(error))
            if time.monotonic() > give_up:
                return message(said, story)
            if await stopped(self._stop, AGAIN_SECONDS):
                raise Stopped

    def _story(self, said: Assigned) -> Story:
        assert said.record is not None
        event = UUID(said.event_id)
        with reader(self._clickhouse) as one:
            return stories(one, [(event, UUID(said.person_id), said.record.at, said.record.score)])[event]

    def _live_generation(self) -> int:
        if time.monotonic() - self._asked_at > GENERATION_SECONDS:
            with reader(self._clickhouse) as one:
                self._live = live(one)
            self._asked_at = time.monotonic()
        return self._live
