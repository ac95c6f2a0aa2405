"""Touchpoints by the hundred million, for benchmarks: as the `touchpoints` topic holds them, without anyone's story.

Customers walk the same ten touchpoints, from ad to bill, in paths of random length. Who they are follows from their
number, so memory holds only those under way. Deterministic: equal arguments give equal bytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from math import log

from ingest.simulator.scenario import DEFAULT_START

_MASK = (1 << 64) - 1
_PATH = (
    (b"ads", b"ad_clicked"),
    (b"web", b"menu_viewed"),
    (b"web", b"search"),
    (b"review", b"review_read"),
    (b"web", b"reservation_started"),
    (b"store", b"seated"),
    (b"store", b"waiting"),
    (b"store", b"ordered"),
    (b"store", b"service"),
    (b"store", b"paid"),
)
_AFTERWARDS = (b"email", b"survey_answered")
SIGN_IN = 4  # place in the path from which on a named customer is named
PAID = 9
SOURCE = "bulk"

# What `ingest.accept` would write, field by field in the order of `StoredTouchpoint`; a test reads it with that model.
_TEMPLATE = (
    b'{"event_id":"%08x-0000-5000-8000-%012x","source":"bulk","address":"%b","identifiers":{%b},"channel":"%b",'
    b'"name":"%b","occurred_at":%d,"received_at":%d,"content":"%032x"%b}'
)
_VALUE = b',"value":{"amount":%d,"currency":"MXN"}'


def bulk(
    touchpoints: int,
    *,
    seed: int = 1,
    mean_path: float = 10,
    new: float = 1.0,
    named: float = 0.5,
    under_way: int = 100_000,
    start: int = DEFAULT_START,
    per_second: int = 1_000,
) -> Iterator[tuple[bytes, bytes]]:
    """(address, stored touchpoint) pairs in the order of time, `per_second` in each simulated second.

    `new` is the share of paths that a customer walks who was never seen before; the others are walked again by a random
    earlier one. `named` is the share of customers who sign in on the way. `under_way` customers walk at the same time,
    in random turns. Lengths of paths are geometric with mean `mean_path`.
    """
    state = (seed * 0x9E3779B97F4A7C15 + 1) & _MASK
    customers = array("q", [-1]) * under_way
    places = array("q", [0]) * under_way
    lengths = array("q", [0]) * under_way
    seen = 0
    new_below, named_below = int(new * 2**32), int(named * 2**32)
    stays = log(1 - 1 / mean_path) if mean_path > 1 else float("-inf")
    run = seed & 0xFFFFFFFF
    for count in range(touchpoints):
        state = (state * 6364136223846793005 + 1442695040888963407) & _MASK
        slot = (state >> 33) % under_way
        place = places[slot]
        if place >= lengths[slot]:
            state = (state * 6364136223846793005 + 1442695040888963407) & _MASK
            if seen == 0 or (state >> 32) < new_below:
                customers[slot] = seen
                seen += 1
            else:
                customers[slot] = (state >> 11) % seen
            state = (state * 6364136223846793005 + 1442695040888963407) & _MASK
            lengths[slot] = 1 + int(log(((state >> 11) + 1) * 2**-53) / stays)
            place = 0
        places[slot] = place + 1
        customer = customers[slot]
        channel, name = _PATH[place] if place <= PAID else _AFTERWARDS
        address = b"anonymous_id:w-%d-%d" % (run, customer)
        identifiers = b'"anonymous_id":"w-%d-%d"' % (run, customer)
        if place >= SIGN_IN and (customer * 2654435761 & 0xFFFFFFFF) < named_below:
            identifiers = b'"customer_id":"c-%d-%d",%b' % (run, customer, identifiers)
        at = start + count * 1000 // per_second
        value = _VALUE % (10_000 + customer % 50_000) if place == PAID else b""
        yield (
            address,
            _TEMPLATE % (run, count, address, identifiers, channel, name, at, at, count, value),
        )
