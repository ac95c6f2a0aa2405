"""The touchpoints at which Vivan los Tacos meets its customers: channel, name, and the stage that each really is.

The stage is what the company means by the touchpoint. The ledger counts by it, without reading any rule of a journey
definition; a test holds it against the default definition.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Stage(IntEnum):
    """How far the customer has come."""

    awareness = 1
    research = 2
    consideration = 3
    decision = 4
    purchase = 5
    use = 6
    support = 7
    loyalty = 8


class Moment(NamedTuple):
    """One kind of touchpoint. Without a stage it belongs to a journey without moving it on."""

    channel: str
    name: str
    stage: Stage | None


AD_CLICKED = Moment("ads", "ad_clicked", Stage.awareness)
SOCIAL_POST_SEEN = Moment("social", "social_post_seen", Stage.awareness)
NEWSLETTER_OPENED = Moment("email", "newsletter_opened", Stage.awareness)

MENU_VIEWED = Moment("web", "menu_viewed", Stage.research)
MENU_VIEWED_IN_APP = Moment("app", "menu_viewed", Stage.research)
SEARCHED = Moment("web", "search", Stage.research)
QUESTION_ASKED = Moment("web", "question_asked", Stage.research)
INFO_CALL = Moment("call_center", "info_call", Stage.research)
EMAIL_LINK_OPENED = Moment("email", "email_link_opened", None)

REVIEW_READ = Moment("review", "review_read", Stage.consideration)
PRICE_CHECKED = Moment("web", "price_checked", Stage.consideration)
RESERVATION_STARTED = Moment("web", "reservation_started", Stage.consideration)
RESERVATION_CALL = Moment("call_center", "reservation_started", Stage.consideration)
RESERVATION_CONFIRMED = Moment("email", "reservation_confirmed", None)
KIOSK_PRODUCT_VIEWED = Moment("store", "product_viewed", Stage.consideration)

SEATED = Moment("store", "seated", Stage.decision)
WAITING = Moment("store", "waiting", Stage.decision)
ORDERED = Moment("store", "ordered", Stage.decision)
SERVICE = Moment("store", "service", Stage.decision)
CART_UPDATED = Moment("web", "cart_updated", Stage.decision)
CART_UPDATED_IN_APP = Moment("app", "cart_updated", Stage.decision)
CHECKOUT_STARTED = Moment("web", "checkout_started", Stage.decision)
CHECKOUT_STARTED_IN_APP = Moment("app", "checkout_started", Stage.decision)

PAID = Moment("store", "paid", Stage.purchase)
ORDER_PAID = Moment("web", "order_paid", Stage.purchase)
ORDER_PAID_IN_APP = Moment("app", "order_paid", Stage.purchase)

MEAL_FINISHED = Moment("store", "meal_finished", Stage.use)
DELIVERY_DISPATCHED = Moment("delivery", "delivery_dispatched", Stage.use)
DELIVERED = Moment("delivery", "delivered", Stage.use)

CALL_STARTED = Moment("call_center", "call_started", Stage.support)
COMPLAINT = Moment("call_center", "complaint", Stage.support)

LOYALTY_JOINED = Moment("store", "loyalty_joined", Stage.loyalty)
POINTS_EARNED = Moment("app", "points_earned", Stage.loyalty)
SURVEY_ANSWERED = Moment("email", "survey_answered", Stage.loyalty)
REVIEW_WRITTEN = Moment("review", "review_written", Stage.loyalty)
RECOMMENDED = Moment("social", "recommended", Stage.loyalty)

ALL = tuple(moment for moment in list(globals().values()) if isinstance(moment, Moment))
# Where pain can be planted: after these a customer decides whether to go on.
DECISIVE = tuple(
    sorted({moment.name for moment in ALL if moment.stage and moment.stage < Stage.purchase} - {"product_viewed"})
)
