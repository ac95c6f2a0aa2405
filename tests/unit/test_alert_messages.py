"""What an alert says, how it is signed, and how a process that starts goes on with what is open."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from alerts.causes import Cause
from alerts.causes import alert as alert_of
from alerts.chart import Run
from alerts.counts import MINUTE_MS, Key, Series
from alerts.message import headers, link, message, sentence, signature
from alerts.resuming import resumed
from alerts.settings import AlertSettings
from alerts.watch import State
from schemas.alert import Affected, Alert

RUN = Run(100, 200, 90, 150.0, 37.5)


def cause(channel: str = "web", opened: int = 110, journey: str = "purchase", stage: int = 4) -> Cause:
    return Cause((Key(Series(journey, stage, channel), "progress"),), opened, RUN)


def alert(**changes: Any) -> Alert:
    return msgspec.structs.replace(alert_of(cause(), "opened", 110), stage_name="decision", **changes)


def test_a_sentence_says_where_how_much_and_how_many() -> None:
    assert sentence(alert()) == (
        "purchase · decision · web: 45% move on in the usual time, usually 75%; 60 of 200 customers lost"
    )
    silent = alert(measure="drop_off", expected=0.1, observed=0.3, also=["purchase·4·app·progress"], settled=True)
    assert "30% drop off, usually 10%" in sentence(silent)
    assert sentence(silent).endswith("; also purchase·4·app·progress (it has become usual)")


def test_nothing_that_a_source_named_is_markup() -> None:
    who = Affected(person_id="ab", journey_id="cd", at=5, did=["web·<!channel>", "web·a&b"])
    text = msgspec.json.decode(message(alert(customers=[who], link="https://x.example/1")).content)["text"]
    assert "<!channel>" not in text
    assert "web·&lt;!channel&gt; → web·a&amp;b" in text
    assert text.endswith("<https://x.example/1|Look at it>")


def test_the_whole_alert_is_beside_the_text() -> None:
    one = alert()
    assert msgspec.convert(msgspec.json.decode(message(one).content)["alert"], Alert) == one


def test_a_signature_is_checked_with_nothing_but_the_secret() -> None:
    posted = message(alert())
    content = posted.content
    sent = headers(posted, "s3cret", 1_700_000_000)
    at, mark = (part.split("=")[1] for part in sent["X-Desireline-Signature"].split(","))
    assert hmac.new(b"s3cret", at.encode() + b"." + content, sha256).hexdigest() == mark
    assert signature(content, "other", 1_700_000_000) != sent["X-Desireline-Signature"]
    assert "X-Desireline-Signature" not in headers(posted, "", 1)


def test_the_id_is_of_the_alert_and_the_change_alone() -> None:
    one = headers(message(alert()), "", 1)["Idempotency-Key"]
    assert one == headers(message(alert(lost=7.0)), "", 99)["Idempotency-Key"]
    assert one != headers(message(alert(change="resolved")), "", 1)["Idempotency-Key"]


def test_a_link_is_filled_in() -> None:
    settings = AlertSettings(link="https://d.example/funnel/{journey}?stage={stage}&channel={channel}&since={since}")
    assert link(alert(), settings) == "https://d.example/funnel/purchase?stage=4&channel=web&since=6000000"
    assert link(alert(), AlertSettings()) == ""


@pytest.mark.parametrize(
    "wrong", [{"link": "https://x/{nobody}"}, {"link": "https://x/{"}, {"webhooks": "slack"}, {"timezone": "Mars"}]
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AlertSettings(**wrong)


def test_webhooks_are_a_list() -> None:
    assert AlertSettings(webhooks="https://a.example/1, https://b.example/2,").addresses == [
        "https://a.example/1",
        "https://b.example/2",
    ]


def test_what_is_known_goes_on_under_its_id() -> None:
    known = alert_of(cause(opened=108), "opened", 108)
    state, said = resumed(State(minute=120, causes=(cause(opened=110),)), [known])
    assert said == []
    assert alert_of(state.causes[0], "resolved", 130).alert_id == known.alert_id


def test_an_alert_keeps_its_name_when_the_other_member_is_found_first() -> None:
    web, app = cause("web").members[0], cause("app").members[0]
    found = Cause((app, web), 111, RUN)
    state, said = resumed(State(minute=120, causes=(found,)), [alert_of(cause(opened=108), "opened", 108)])
    assert said == []
    assert state.causes[0].members == (web, app)


def test_what_is_over_is_said_and_what_nobody_knows_too() -> None:
    known = alert_of(cause("call_center", journey="support", stage=1), "opened", 108)
    state, said = resumed(State(minute=120, causes=(cause(),)), [known])
    over, new = said
    assert (over.alert_id, over.change, over.resolved_at) == (known.alert_id, "resolved", 120 * MINUTE_MS)
    assert over.version > known.version
    assert (new.change, new.channel, new.opened_at) == ("opened", "web", 110 * MINUTE_MS)
    assert state.causes == (cause(),)


def test_two_that_are_stored_are_not_one_that_is_open() -> None:
    stored = [alert_of(cause(channel), "opened", minute) for channel, minute in (("web", 108), ("app", 109))]
    _, said = resumed(State(minute=120, causes=(cause(),)), stored)
    assert [(one.change, one.channel) for one in said] == [("resolved", "app")]
