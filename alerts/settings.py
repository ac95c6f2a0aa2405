"""Settings of alerts."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator

from runtime.settings import ProcessSettings


class AlertSettings(ProcessSettings):
    """What alerts compare with, how sure they have to be, and whom they tell."""

    timezone: str = Field(
        "UTC",
        validation_alias="DESIRELINE_TIMEZONE",
        description="IANA zone of the company, for example America/Mexico_City: hours of the week are compared in it.",
    )
    history_weeks: int = Field(
        8,
        ge=5,
        le=52,
        validation_alias="DESIRELINE_ALERTS_HISTORY",
        description="Weeks of stored minutes that it learns from when it starts: one for usual times, then three at least.",
    )
    look_back_days: int = Field(
        60,
        ge=1,
        validation_alias="DESIRELINE_ALERTS_LOOK_BACK",
        description="Days: journeys that began longer before a minute are not counted in it. Shorter is cheaper.",
    )
    false_alarms: float = Field(
        0.1,
        gt=0,
        validation_alias="DESIRELINE_ALERTS_FALSE",
        description="Alerts a week, over everything that is watched, that pure chance may raise. More is quicker.",
    )
    least_loss: float = Field(
        0.1,
        gt=0,
        lt=1,
        validation_alias="DESIRELINE_ALERTS_LEAST_LOSS",
        description="Share of the customers who usually go on that has to be missing.",
    )
    settle_seconds: float = Field(
        20.0,
        ge=0,
        validation_alias="DESIRELINE_ALERTS_SETTLE",
        description="Seconds after its end at which a minute is counted: touchpoints need that long to get here.",
    )
    sink_group: str = Field(
        "sink",
        validation_alias="DESIRELINE_SINK_GROUP",
        description="Consumer group of the sink: a minute is judged when it has written what had arrived.",
    )
    customers: int = Field(
        50, ge=0, validation_alias="DESIRELINE_ALERTS_CUSTOMERS", description="Customers that an alert carries at most."
    )
    link: str = Field(
        "",
        validation_alias="DESIRELINE_ALERTS_LINK",
        description="Address that an alert links to; {journey}, {stage}, {channel}, {since} and {alert_id} are filled in.",
    )
    webhooks: str = Field(
        "",
        validation_alias="DESIRELINE_ALERTS_WEBHOOKS",
        description="Addresses that alerts are posted to, Slack's for example, by comma.",
    )
    feedback_webhooks: str = Field(
        "",
        validation_alias="DESIRELINE_FEEDBACK_WEBHOOKS",
        description="Addresses that each detractor to call back and promoter to thank is posted to, by comma.",
    )
    webhook_secret: SecretStr = Field(
        SecretStr(""),
        validation_alias="DESIRELINE_ALERTS_SECRET",
        description="Key of the signature that webhooks carry; none: they are not signed.",
    )
    webhook_tries: int = Field(
        6,
        ge=1,
        le=20,
        validation_alias="DESIRELINE_ALERTS_TRIES",
        description="Times that a webhook is tried, 1, 2, 4 … up to 60 seconds apart, before it is a dead letter.",
    )

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{value!r} is not a time zone; write for example America/Mexico_City") from error
        return value

    @field_validator("webhooks", "feedback_webhooks")
    @classmethod
    def _are_addresses(cls, value: str) -> str:
        for address in filter(None, map(str.strip, value.split(","))):
            if not address.startswith(("http://", "https://")):
                raise ValueError(f"{address!r} is not an address of a webhook: it begins with https://")
        return value

    @field_validator("link")
    @classmethod
    def _can_be_filled_in(cls, value: str) -> str:
        try:
            value.format(journey="", stage=1, channel="", since=0, alert_id="")
        except (LookupError, ValueError) as error:
            raise ValueError(f"{value!r} names something that an alert has not: {error}") from error
        return value

    @property
    def addresses(self) -> list[str]:
        """The webhooks of alerts, one by one."""
        return _split(self.webhooks)

    @property
    def feedback_addresses(self) -> list[str]:
        """The webhooks of detractors and promoters, one by one."""
        return _split(self.feedback_webhooks)


def _split(addresses: str) -> list[str]:
    return [address for address in map(str.strip, addresses.split(",")) if address]
