"""Vivan los Tacos, as its customers live it: from the first ad to the table, the bill, the survey, and the next time."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.simulator import moments as m
from ingest.simulator.customers import Customer
from ingest.simulator.hours import next_meal, weekend
from ingest.simulator.scenario import HOUR, MINUTE, SECOND
from ingest.simulator.walk import Answer, Company, Step, Steps, Walk

BROWSING = (20 * SECOND, 3 * MINUTE)
THINKING = (2 * MINUTE, 5 * HOUR)
_CAMPAIGNS = ("taco_tuesday", "al_pastor", "family_sunday")
_COMPLAINTS = {
    "waiting": "We waited for ever and nobody came to our table.",
    "service": "The waiter was rude to us.",
}


class Story(Walk):
    """One customer of Vivan los Tacos."""

    def __init__(self, customer: Customer, company: Company, at: int) -> None:
        super().__init__(customer, company, at)
        self._remembered: list[Step] = []  # what a survey may ask about
        self._bill: Step | None = None
        self._at_home = False

    def journey(self) -> Steps:
        self._remembered = []
        if not (yield from self._hears_of_it()):
            return False
        if not (yield from self._looks_around()):
            return False
        if not (yield from self._compares()):
            return False
        self._at_home = self.chance.happens(self.me.persona.delivery)
        if self._at_home:
            return (yield from self._orders_home())
        if not (yield from self._reserves()):
            return False
        return (yield from self._eats_out())

    def _hears_of_it(self) -> Steps:
        me, draw = self.me, self.chance.draw()
        if me.named:
            moment, shown = (m.NEWSLETTER_OPENED, me.by_email()) if draw < 0.35 else (None, {})
        elif draw < 0.75:
            moment, shown = m.AD_CLICKED if draw < 0.5 else m.SOCIAL_POST_SEEN, me.on_the_web()
        else:
            moment, shown = None, {}
        if moment is None:
            return True
        yield self.step(moment, (0, MINUTE), shown, context={"campaign": self.chance.one_of(_CAMPAIGNS)})
        return not self.leaves(moment)

    def _looks_around(self) -> Steps:
        me, chance = self.me, self.chance
        if me.member and chance.happens(0.5):
            yield self.step(
                m.MENU_VIEWED_IN_APP, BROWSING, me.in_the_app(), context={"device": "app", "locale": "es-MX"}
            )
            if self.leaves(m.MENU_VIEWED_IN_APP):
                return False
        else:
            for moment, probability in ((m.SEARCHED, 0.25), (m.MENU_VIEWED, 1.0), (m.QUESTION_ASKED, 0.2)):
                if chance.happens(probability):
                    yield self.step(moment, BROWSING, me.on_the_web(), context=self._page(moment.name))
                    if self.leaves(moment):
                        return False
        if chance.happens(0.15):
            yield from self._calls(m.INFO_CALL, m.EMAIL_LINK_OPENED, "information")
            if self.leaves(m.INFO_CALL):
                return False
        return True

    def _compares(self) -> Steps:
        me, chance = self.me, self.chance
        for moment, probability in ((m.REVIEW_READ, 0.3), (m.PRICE_CHECKED, 0.25)):
            if chance.happens(probability):
                yield self.step(moment, BROWSING, me.on_the_web(), context=self._page(moment.name))
                if self.leaves(moment):
                    return False
        return True

    def _orders_home(self) -> Steps:
        me, chance = self.me, self.chance
        if me.member and chance.happens(0.5):
            cart, checkout, paid = m.CART_UPDATED_IN_APP, m.CHECKOUT_STARTED_IN_APP, m.ORDER_PAID_IN_APP
            shown, context = me.in_the_app(), {"device": "app", "locale": "es-MX"}
        else:
            cart, checkout, paid = m.CART_UPDATED, m.CHECKOUT_STARTED, m.ORDER_PAID
            shown, context = me.on_the_web(), self._page("order")
        yield self.step(cart, BROWSING, shown, context=context)
        if self.leaves(cart):
            return False
        shown = shown if me.named else me.signing_in()
        step = self.step(checkout, BROWSING, shown, context=context)
        yield step
        if self.leaves(checkout):
            return False
        self._remembered = [step]
        yield from self._pays(paid, (30 * SECOND, 4 * MINUTE), shown, context)
        return True

    def _reserves(self) -> Steps:
        me, chance = self.me, self.chance
        by_phone, walks_in = chance.happens(me.persona.calls), chance.happens(0.25)
        if walks_in and me.named:
            return True
        party: dict[str, object] = {"people": self._people()}
        if by_phone:
            emailed = not me.named
            reservation = m.RESERVATION_CALL
            yield from self._calls(reservation, m.RESERVATION_CONFIRMED, "reservations", party)
        else:
            emailed = False
            reservation, context = m.RESERVATION_STARTED, self._page("reservation")
            yield self.step(reservation, BROWSING, me.signing_in(), context=context, properties=party)
        if self.leaves(reservation):
            return False
        if not emailed:
            yield self.step(m.RESERVATION_CONFIRMED, (MINUTE, 10 * MINUTE), me.by_email())
        return True

    def _calls(
        self, moment: m.Moment, email: m.Moment, queue: str, properties: dict[str, object] | None = None
    ) -> Iterator[Step]:
        """A call names the customer; the email that follows, opened on the device, names who browsed there before."""
        me, nameless = self.me, not self.me.named
        context = self._agent(queue)
        yield self.step(moment, THINKING, me.to_the_agent(), context=context, properties=properties or {})
        if nameless:
            yield self.step(email, (MINUTE, HOUR), me.opening_email(), must=True)

    def _eats_out(self) -> Steps:
        me, chance = self.me, self.chance
        store = int(chance.draw() * self.company.stores)
        soon = chance.weighted((0, 1, 2, 4), (0.5, 0.25, 0.15, 0.1))
        days = weekend(self.at) if me.persona.name == "family" else soon
        context = {"store": f"store-{store:03d}"}
        served = context | {"agent": f"waiter-{store:03d}-{int(chance.draw() * 8)}"}
        yield self.step_at(
            m.SEATED, next_meal(self.at, days, chance), me.in_the_store(),
            context=context, properties={"segment": me.persona.name},
        )  # fmt: skip
        if self.leaves(m.SEATED):
            return False
        waited = self.step(m.WAITING, (2 * MINUTE, 9 * MINUTE), me.in_the_store(), context=context)
        yield waited
        if self.leaves(m.WAITING):
            return False
        yield from self._order(store, served)
        if self.leaves(m.ORDERED):
            return False
        service = self.step(m.SERVICE, (7 * MINUTE, 20 * MINUTE), me.in_the_store(), context=served)
        yield service
        if self.leaves(m.SERVICE):
            return False
        self._remembered = [waited, service]
        yield from self._pays(m.PAID, (MINUTE, 6 * MINUTE), me.at_the_till(), served)
        return True

    def _order(self, store: int, served: dict[str, str]) -> Iterator[Step]:
        """With the waiter, or at a kiosk: first without a name, then with the card."""
        me = self.me
        if self.company.orders_at_kiosk(self.chance.draw()):
            at = self.at + self.gap((30 * SECOND, 2 * MINUTE))
            until = at + self.gap((20 * SECOND, 80 * SECOND))
            kiosk = self.company.kiosk(store, at, until)
            if kiosk is not None:
                context = {"store": served["store"], "device": "kiosk"}
                yield self.step_at(m.KIOSK_PRODUCT_VIEWED, at, me.at_a_kiosk(kiosk), context=context)
                shown = me.in_the_store() | {"device_id": kiosk}
                yield self.step_at(m.ORDERED, until, shown, context=context, must=True)
                return
        yield self.step(m.ORDERED, (MINUTE, 6 * MINUTE), me.in_the_store(), context=served)

    def _pays(
        self, moment: m.Moment, after: tuple[float, float], shown: dict[str, str], context: dict[str, str]
    ) -> Iterator[Step]:
        amount = self._people() * int(self.chance.between(90, 320)) * 100
        self._bill = self.step(
            moment, after, shown, amount=amount, context=context, properties={"segment": self.me.persona.name}
        )
        yield self._bill

    def afterwards(self) -> Iterator[Step]:
        me, chance = self.me, self.chance
        if self._at_home:
            yield self.step(m.DELIVERY_DISPATCHED, (10 * MINUTE, 25 * MINUTE), me.in_the_store())
            yield self.step(m.DELIVERED, (10 * MINUTE, 35 * MINUTE), me.in_the_store())
        else:
            yield self.step(m.MEAL_FINISHED, (15 * MINUTE, 50 * MINUTE), me.in_the_store())
            if not me.member and me.persona.name != "tourist" and chance.happens(0.15):
                me.member = True
                yield self.step(m.LOYALTY_JOINED, (MINUTE, 5 * MINUTE), me.at_the_till())
        if me.member and chance.happens(0.6):
            yield self.step(m.POINTS_EARNED, (MINUTE, HOUR), me.in_the_app())
        if chance.happens(0.15 if self.mood < 2.8 else 0.02):
            yield from self._complains()
        if chance.happens(0.4):
            yield from self._answers_survey()
        if chance.happens(0.06):
            stars = self._score(1, 5, self.mood)
            yield self.step(
                m.REVIEW_WRITTEN, (HOUR, 30 * HOUR), me.on_the_web(), feedback=Answer("stars", stars, self._about())
            )
        if self.mood > 4.6 and chance.happens(0.15):
            yield self.step(m.RECOMMENDED, (HOUR, 40 * HOUR), me.on_the_web())

    def _complains(self) -> Iterator[Step]:
        """The phone system sees a number; the agent, minutes later, a name."""
        me, about = self.me, self._about()
        text = _COMPLAINTS.get(about.moment.name, "It was not what I expected.")
        yield self.step(m.CALL_STARTED, (20 * MINUTE, 20 * HOUR), me.calling())
        yield self.step(
            m.COMPLAINT, (MINUTE, 6 * MINUTE), me.to_the_agent(), must=True, context=self._agent("complaints"),
            feedback=Answer("text", None, about, text, "negative"),
        )  # fmt: skip

    def _answers_survey(self) -> Iterator[Step]:
        me, about = self.me, self._about()
        if self._at_home and about is not self.sore:
            answer = Answer("ces", self._score(1, 7, (self.mood - 1) * 1.5 + 1), about)
        else:
            answer = Answer("csat", self._score(1, 5, self.mood), about)
        yield self.step(m.SURVEY_ANSWERED, (2 * HOUR, 22 * HOUR), me.by_email(), feedback=answer)
        if self.chance.happens(0.6):
            assert self._bill is not None
            answer = Answer("nps", self._score(0, 10, (self.mood - 1) * 2.5 + 0.2), self._bill)
            yield self.step(m.SURVEY_ANSWERED, (10 * SECOND, 2 * MINUTE), me.by_email(), feedback=answer)

    def _about(self) -> Step:
        """What hurt is what one talks about."""
        return self.sore or self.chance.one_of(self._remembered)

    def _score(self, low: int, high: int, middle: float) -> int:
        return max(low, min(high, round(self.chance.around(middle, (high - low) / 9))))

    def _people(self) -> int:
        return max(1, round(self.chance.around(self.me.persona.people, 0.8)))

    def _page(self, name: str) -> dict[str, str]:
        return {"page": f"https://vivanlostacos.example/{name}", "device": self.me.device, "locale": "es-MX"}

    def _agent(self, queue: str) -> dict[str, str]:
        return {"queue": queue, "agent": f"agent-{int(self.chance.draw() * 20)}"}
