"""An alert in words, and what a webhook carries: Slack's `text`, the whole alert beside it, signed. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple

from alerts.settings import AlertSettings
from schemas.alert import Alert
from schemas.codec import encode


class Message(NamedTuple):
    """What is posted, and the id by which who has seen it may ignore it: the same however often it is tried."""

    ident: str
    content: bytes


_DOES = {"progress": "move on in the usual time", "drop_off": "drop off"}
_NAMED = 5  # customers in the text; the alert beside it has all


def sentence(alert: Alert) -> str:
    """Where, how much worse than usual, and how many customers that is."""
    where = f"{alert.journey} · {alert.stage_name or alert.stage} · {alert.channel}"
    figures = f"{alert.observed:.0%} {_DOES[alert.measure]}, usually {alert.expected:.0%}"
    lost = f"{max(1, round(alert.lost)):,} of {alert.stays:,} customers lost"
    also = f"; also {', '.join(alert.also)}" if alert.also else ""
    return f"{where}: {figures}; {lost}{also}{' (it has become usual)' if alert.settled else ''}"


def link(alert: Alert, settings: AlertSettings) -> str:
    """Where to look at it."""
    return settings.link.format(
        journey=alert.journey,
        stage=alert.stage,
        channel=alert.channel,
        since=alert.since,
        alert_id=alert.alert_id,
    )


def message(alert: Alert) -> Message:
    """What is posted: `text` for people, in Slack's markup, and `alert`, as in the topic."""
    since = datetime.fromtimestamp(alert.since / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    lines = [f"*{alert.change.capitalize()}*: {escaped(sentence(alert))}; since {since}"]
    lines += [f"• {one.person_id}: {escaped(' → '.join(one.did))}" for one in alert.customers[:_NAMED]]
    if alert.link:
        lines.append(f"<{alert.link}|Look at it>")
    return Message(f"{alert.alert_id}-{alert.change}", encode({"text": "\n".join(lines), "alert": alert}))


def headers(message: Message, secret: str, at: int) -> Mapping[str, str]:
    """The headers of one try at `at` (s UTC)."""
    found = {"Content-Type": "application/json", "Idempotency-Key": message.ident}
    return found | ({"X-Desireline-Signature": signature(message.content, secret, at)} if secret else {})


def signature(content: bytes, secret: str, at: int) -> str:
    """`t=<s UTC>,v1=<hex>`: HMAC-SHA256 (RFC 2104) of the time, a point and the body.

    The time is signed with it, so that whoever checks it can refuse what a stranger repeats later.
    """
    mark = hmac.new(secret.encode(), b"%d." % at + content, sha256).hexdigest()
    return f"t={at},v1={mark}"


def escaped(text: str) -> str:
    """Names come from sources: in Slack's markup nothing of them may be a link or call everyone."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
