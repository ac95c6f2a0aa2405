"""The touchpoint: one contact between one customer and the company, through one channel, at one moment.

`Touchpoint` is what a source sends (HTTP body, file row after its map); `StoredTouchpoint` is what the `touchpoints` topic
holds. Both have an exported JSON Schema in `schemas/examples/`. Limits are on every size, so that one record never
becomes a problem of its neighbours.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, StringConstraints, model_validator

MAX_TOUCHPOINT_BYTES = 256 * 1024  # of one touchpoint as JSON
MAX_PROPERTIES = 256
MAX_DEPTH = 16  # of nesting in properties
MAX_REVISION = 2**31 - 1
MAX_SEQUENCE = 2**31 - 2
MAX_MINOR_UNITS = 10**15
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)

Label = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Text = Annotated[str, StringConstraints(max_length=2048)]
LongText = Annotated[str, StringConstraints(max_length=16384)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$", max_length=3)]  # $ alone may let a line end through
Moment = Annotated[AwareDatetime, Field(ge=EARLIEST, le=LATEST)]
IdentifierValue = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)


class Context(_Part):
    """Where and how it happened."""

    page: Text | None = Field(None, description="Address of the page or screen.")
    referrer: Text | None = Field(None, description="Address the customer came from.")
    campaign: Label | None = Field(None, description="Marketing campaign.")
    store: Label | None = Field(None, description="Physical store.")
    agent: Label | None = Field(None, description="Employee who served the customer.")
    queue: Label | None = Field(None, description="Queue of the call center.")
    device: Label | None = Field(None, description="Device or browser.")
    locale: Label | None = Field(None, description="Language and region, for example es-MX.")


class Value(_Part):
    """Money in minor units (cents) of one currency; negative for a refund."""

    amount: int = Field(ge=-MAX_MINOR_UNITS, le=MAX_MINOR_UNITS, description="Minor units of the currency.")
    currency: Currency = Field(description="ISO 4217 code.")


class Feedback(_Part):
    """How it felt. `score` is in the scale of its kind: NPS 0-10, CSAT 1-5, CES 1-7, stars 1-5; text has none."""

    kind: Literal["nps", "csat", "ces", "stars", "text"] = Field(description="nps, csat, ces, stars or text.")
    score: int | None = Field(None, ge=0, le=10, description="Score in the scale of the kind.")
    sentiment: Literal["negative", "neutral", "positive"] | None = Field(
        None, description="Of the text, by the source."
    )
    text: LongText | None = Field(None, description="What the customer said.")
    about: IdentifierValue | None = Field(None, description="event_id of the touchpoint that it is about.")

    @model_validator(mode="after")
    def _score_is_in_scale(self) -> Feedback:
        low, high = SCALES[self.kind]
        if self.kind == "text":
            if self.score is not None or self.text is None:
                raise ValueError("feedback of kind text has a text and no score")
        elif self.score is None or not low <= self.score <= high:
            raise ValueError(f"the score of {self.kind} is a whole number from {low} to {high}")
        return self


SCALES = {"nps": (0, 10), "csat": (1, 5), "ces": (1, 7), "stars": (1, 5), "text": (0, 0)}


class Consent(_Part):
    """What the customer agreed to. Without consent to analytics a touchpoint is refused and not kept."""

    analytics: bool | None = Field(None, description="To being counted at all; false: refused.")
    marketing: bool | None = Field(None, description="To being addressed.")


class Touchpoint(_Part):
    """A touchpoint as a source sends it. What it does not know is kept in `properties`."""

    channel: Label = Field(description="Where it happened: web, app, store, call_center, email, ads, …")
    name: Label = Field(description="What happened, for example checkout_started.")
    identifiers: dict[Label, IdentifierValue] = Field(
        min_length=1, max_length=16, description="Kind → value, for example customer_id, email, anonymous_id, phone."
    )
    event_id: IdentifierValue | None = Field(None, description="The source's own id; a resend with it is a duplicate.")
    occurred_at: Moment | None = Field(
        None, description="When it happened, RFC 3339 with zone. Needed without event_id."
    )
    sent_at: Moment | None = Field(None, description="When the client sent it, by the client's clock.")
    sequence: int | None = Field(None, ge=0, le=MAX_SEQUENCE, description="Counts the stream's touchpoints from 0.")
    stream: Label | None = Field(None, description="What the sequence counts: a device, a file and customer.")
    revision: int = Field(
        0, ge=0, le=MAX_REVISION, description="Higher replaces lower; sources that correct start at 1."
    )
    retracted: bool = Field(False, description="This revision takes the touchpoint back.")
    context: Context | None = Field(None, description="Where and how it happened.")
    value: Value | None = Field(None, description="Money that it carries.")
    feedback: Feedback | None = Field(None, description="How it felt.")
    consent: Consent | None = Field(None, description="What the customer agreed to.")
    properties: dict[Label, JsonValue] = Field(
        default_factory=dict, max_length=MAX_PROPERTIES, description="Anything else, JSON."
    )

    @model_validator(mode="after")
    def _has_time_or_id(self) -> Touchpoint:
        if self.event_id is None and self.occurred_at is None:
            raise ValueError("a touchpoint without event_id needs occurred_at, else a resend could not be recognised")
        return self


class StoredTouchpoint(_Part):
    """A touchpoint in the `touchpoints` topic. Times are milliseconds UTC; `event_id` is unique across sources."""

    event_id: UUID
    source: Label
    address: str = Field(description="The Kafka key: home identifier, or the event id if it has a revision.")
    identifiers: dict[str, str] = Field(description="Normalised; in configured order of kind.")
    channel: Label
    name: Label
    occurred_at: int = Field(description="After correction of the clock.")
    received_at: int
    content: str = Field(description="Hash of what the source sent: equal id and revision, equal content = duplicate.")
    sent_at: int | None = None
    source_event_id: str | None = None
    clock: Literal["as_sent", "corrected", "clamped", "received"] = Field(
        "as_sent", description="How occurred_at came about; received: the source gave none."
    )
    sequence: int | None = None
    stream: str | None = None
    revision: int = 0
    retracted: bool = False
    context: Context | None = None
    value: Value | None = None
    feedback: Feedback | None = None
    consent: Consent | None = None
    properties: dict[str, Any] = Field(default_factory=dict)
