"""Who comes to Vivan los Tacos, and what each system of the company knows them by."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.simulator.chance import Chance


@dataclass(frozen=True)
class Persona:
    """Customers with shared traits. None of them changes how likely it is to leave in the middle of a journey: that
    depends on the stage alone, so that a planted pain is the only touchpoint that differs from its neighbours."""

    name: str
    share: float
    comes_back: float  # probability of another journey after a visit without pain
    days_between: float
    people: int  # at the table, on average
    delivery: float  # share of journeys that are ordered home
    calls: float  # share of reservations made by phone
    known: float  # share of customers that the company knew before, where some are


PERSONAS = (
    Persona("regular", 0.25, 0.85, 6, 2, 0.35, 0.15, 0.9),
    Persona("newcomer", 0.40, 0.45, 12, 2, 0.30, 0.25, 0.1),
    Persona("tourist", 0.15, 0.05, 2, 3, 0.05, 0.20, 0.0),
    Persona("family", 0.20, 0.65, 10, 5, 0.25, 0.45, 0.5),
)
_SHARES = tuple(persona.share for persona in PERSONAS)
_FIRST = ("ana", "luis", "maria", "jorge", "sofia", "diego", "lucia", "mateo", "elena", "raul", "carmen", "ivan")
_LAST = ("garcia", "lopez", "perez", "sanchez", "ramirez", "torres", "flores", "rivera", "gomez", "diaz", "cruz")
_DEVICES = ("iPhone", "Android phone", "Windows PC", "iPad")

Identifiers = dict[str, str]


class Customer:
    """One person: identifiers, persona, and what the company has learnt so far.

    The company can always tell who it was, because a device is named within the look-back after its first nameless
    touchpoint and strong identifiers first appear together. So people, as DESIGN §4 defines them, are these customers.
    """

    __slots__ = (
        "_sent",
        "anonymous_id",
        "chance",
        "customer_id",
        "device",
        "linked",
        "member",
        "named",
        "number",
        "persona",
        "run",
        "signed_in",
    )

    def __init__(self, seed: int, run: str, number: int, signed_in: bool) -> None:
        self.chance = chance = Chance(seed, "customer", number)
        self.run, self.number, self.signed_in = run, number, signed_in
        self.persona = chance.weighted(PERSONAS, _SHARES)
        self.customer_id = f"c-{run}-{number}"
        self.anonymous_id = f"w-{run}-{number}"
        self.device = chance.one_of(_DEVICES)
        self.named = chance.happens(self.persona.known) or signed_in
        self.member = self.named and chance.happens(0.7)
        self.linked: frozenset[str] = frozenset()
        self._sent: dict[str, int] = {}

    def next_on(self, channel: str) -> int:
        """Sequence of the next touchpoint that this customer's own device sends on the channel, from 0."""
        sequence = self._sent.get(channel, 0)
        self._sent[channel] = sequence + 1
        return sequence

    def best_known(self) -> Identifiers:
        """The identifier by which the company would look this customer up."""
        return {"customer_id": self.customer_id} if self.named else {"anonymous_id": self.anonymous_id}

    def on_the_web(self) -> Identifiers:
        """What the website's cookie says; with the name once the customer has signed in there."""
        if self.named:
            return {"customer_id": self.customer_id, "anonymous_id": self.anonymous_id}
        return {"anonymous_id": self.anonymous_id}

    def signing_in(self) -> Identifiers:
        """The form that names a customer on the web."""
        self.named = True
        self.linked |= {"email"}
        return {"customer_id": self.customer_id, "email": self.email, "anonymous_id": self.anonymous_id}

    def in_the_app(self) -> Identifiers:
        return {"customer_id": self.customer_id, "device_id": f"m-{self.run}-{self.number}"}

    def opening_email(self) -> Identifiers:
        """A link in an email, opened on the customer's own device: it names the device."""
        return self._by("email", self.email) | {"anonymous_id": self.anonymous_id}

    def by_email(self) -> Identifiers:
        return self._by("email", self.email)

    def at_the_till(self) -> Identifiers:
        if self.member:
            return self._by("loyalty_id", f"l-{self.run}-{self.number}")
        return {"customer_id": self.customer_id}

    def in_the_store(self) -> Identifiers:
        return {"customer_id": self.customer_id}

    def at_a_kiosk(self, kiosk: str) -> Identifiers:
        """A screen that everyone uses, before the card is shown."""
        return self._signed({"device_id": kiosk})

    def calling(self) -> Identifiers:
        """What the phone system sees before anyone has picked up."""
        return self._signed({"phone": self.phone})

    def to_the_agent(self) -> Identifiers:
        """The agent asks who is calling, and for the address the first time."""
        self.named = True
        known = "email" in self.linked
        self.linked |= {"email"}
        return {"customer_id": self.customer_id, "phone": self.phone} | ({} if known else {"email": self.email})

    @property
    def email(self) -> str:
        first, last = _FIRST[self.number % len(_FIRST)], _LAST[self.number % len(_LAST)]
        return f"{first}.{last}.{self.run}.{self.number}@example.com"

    @property
    def phone(self) -> str:
        """A number of Mexico City; unique within a run of 100 million customers."""
        return f"+5255{(int(self.run, 16) + self.number) % 10**8:08d}"

    def _by(self, kind: str, value: str) -> Identifiers:
        """A system shows its own identifier alone once the company knows whose it is."""
        if kind in self.linked:
            return self._signed({kind: value})
        self.linked |= {kind}
        return {"customer_id": self.customer_id, kind: value}

    def _signed(self, shown: Identifiers) -> Identifiers:
        return {"customer_id": self.customer_id} | shown if self.signed_in else shown
