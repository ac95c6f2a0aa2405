"""What identity costs: touchpoints by what they say, the usual mix, merges, an identifier that everybody shares, a kiosk.

    python -m benchmarks.identity

One partition in one process, without Kafka: CPU time of taking and collecting, as the worker does it every 20,000 records.
The stitch leg's cost for what the identity leg says is measured in the same run, of touchpoints by what they say and of the
mix. Deterministic.
"""

from __future__ import annotations

import argparse
import gc
import random
import time
from collections.abc import Callable, Iterator

from benchmarks import common
from benchmarks.state import BATCH, CHUNK, GC_THRESHOLD, NOW
from processors.app import IdentityLeg, StitchLeg
from processors.settings import WorkerSettings
from runtime.chunked.leg import Chunk, Output, Partition
from schemas.definition import load_definitions
from schemas.identity import DEFAULT_KINDS
from schemas.topics import PEOPLE, TOUCHPOINTS

START = 1_767_225_600_000  # 2026-01-01, ms UTC
NAMES = ("page_view", "search", "product_viewed", "cart", "checkout")


def touchpoint(number: int, at: int, identifiers: str) -> bytes:
    """As the topic holds it; `identifiers` is the inside of a JSON object."""
    return (
        f'{{"event_id":"{number:08x}-0000-5000-8000-{number:012x}","source":"web","identifiers":{{{identifiers}}},'
        f'"channel":"web","name":"{NAMES[number % 5]}","occurred_at":{at},"received_at":{at},"content":"{number:032x}"}}'
    ).encode()


class Fed:
    """A partition that is fed, with what it cost: CPU seconds, bytes of changelog, what it said to people."""

    def __init__(self, partition: Partition, topic: str) -> None:
        self._partition, self._topic, self._now = partition, topic, NOW
        self.seconds, self.state_bytes, self.taken = 0.0, 0, 0
        self.people: list[Output] = []

    def feed(self, values: list[bytes]) -> float:
        """CPU seconds of these."""
        before, since = self.seconds, 0
        for start in range(0, len(values), CHUNK):
            part: list[bytes | None] = list(values[start : start + CHUNK])
            size = len(part)
            began = time.process_time()
            self._partition.take(Chunk(self._topic, 0, list(range(size)), [self._now] * size, [None] * size, part))
            self.seconds += time.process_time() - began
            since += size
            if since >= BATCH:
                self._collect()
                since = 0
        self._collect()
        self.taken += len(values)
        return self.seconds - before

    def _collect(self) -> None:
        self._now += 1_000
        began = time.process_time()
        self._partition.tick(self._now, {})
        state, outputs = self._partition.collect(self._now)
        self.seconds += time.process_time() - began
        self.state_bytes += sum(len(key) + len(value or b"") for key, value in state.items())
        self.people += [output for output in outputs if output.topic == PEOPLE.name]


def by_kind(fresh: Callable[[], Fed], fresh_stitch: Callable[[], Fed], devices: int) -> dict[str, dict[str, float]]:
    """Microseconds of each leg per touchpoint that says nothing new, or what it says, on so many devices."""

    def rounds(first: int, names: str, count: int) -> list[bytes]:
        """`count` touchpoints on every device, from its number `first` on; `names` as identifiers, of device %d."""
        return [
            touchpoint(
                place * devices + device,
                START + place * 3_600_000 + device * 10,
                (names % device if names else "") + f'"anonymous_id":"w{device}"',
            )
            for place in range(first, first + count)
            for device in range(devices)
        ]

    named = '"customer_id":"c%d",'
    found = {}
    for kind, before, measured in (
        ("nothing_new_without_name", rounds(0, "", 1), rounds(1, "", 8)),
        ("nothing_new_with_name", rounds(0, named, 1), rounds(1, named, 8)),
        ("first_of_a_device", [], rounds(0, "", 1)),
        ("first_of_a_customer", [], rounds(0, named, 1)),
        ("sign_in_after_one", rounds(0, "", 1), rounds(1, named, 1)),
        ("sign_in_after_four", rounds(0, "", 4), rounds(4, named, 1)),
    ):
        identity, stitch = fresh(), fresh_stitch()
        identity.feed(before)
        stitch.feed([output.value or b"" for output in identity.people])
        identity.people.clear()
        seconds = identity.feed(measured)
        told = stitch.feed([output.value or b"" for output in identity.people])
        found[kind] = {
            "identity": round(seconds / len(measured) * 1e6, 1),
            "stitch": round(told / len(measured) * 1e6, 1),
            "statements_to_people": round(len(identity.people) / len(measured), 2),
        }
    return found


def mix(touchpoints: int) -> Iterator[bytes]:
    """80 % say nothing new, 5 % sign in, 1 % link two names, 14 % come from a new device."""
    chance = random.Random(1)
    names: list[str] = []  # of each device: what is known of it, as identifiers
    for number in range(touchpoints):
        at, dice = START + number * 10, chance.random()
        device = int(chance.random() ** 2 * len(names)) if names else 0
        if dice < 0.14 or not names:
            names.append("")
            device = len(names) - 1
        elif dice < 0.19 and not names[device]:
            names[device] = f'"customer_id":"c{device}",'
        elif dice < 0.20 and names[device]:
            yield touchpoint(number, at, f'{names[device]}"email":"e{device}@example.org","anonymous_id":"w{device}"')
            continue
        yield touchpoint(number, at, f'{names[device]}"anonymous_id":"w{device}"')


def usual(fresh: Callable[[], Fed], stitch: Fed, touchpoints: int) -> dict[str, float]:
    fed = fresh()
    values = list(mix(touchpoints))
    warm = touchpoints // 2
    fed.feed(values[:warm])
    fed.people.clear()
    fed.state_bytes = 0
    seconds = fed.feed(values[warm:])
    told = [output.value or b"" for output in fed.people]
    return {
        "touchpoints": touchpoints - warm,
        "microseconds_per_touchpoint": round(seconds / (touchpoints - warm) * 1e6, 2),
        "statements_to_people_per_touchpoint": round(len(told) / (touchpoints - warm), 3),
        "changelog_bytes_per_touchpoint": round(fed.state_bytes / (touchpoints - warm), 1),
        "stitch_microseconds_per_touchpoint": round(stitch.feed(told) / (touchpoints - warm) * 1e6, 2),
    }


def merges(fresh: Callable[[], Fed], pairs: int) -> dict[str, float]:
    """Two customers of five touchpoints each turn out to be one."""
    fed = fresh()
    numbers = iter(range(1 << 40))
    fed.feed(
        [
            touchpoint(next(numbers), START + pair * 10 + step, who % (pair, pair))
            for pair in range(pairs)
            for step in range(5)
            for who in ('"email":"e%d@example.org","anonymous_id":"w%d"', '"customer_id":"c%d","anonymous_id":"v%d"')
        ]
    )
    fed.people.clear()
    links = [
        touchpoint(next(numbers), START + pairs * 10 + pair, f'"customer_id":"c{pair}","email":"e{pair}@example.org"')
        for pair in range(pairs)
    ]
    seconds = fed.feed(links)
    return {
        "merges": pairs,
        "touchpoints_moved_each": 5,
        "merges_per_second": round(pairs / seconds),
        "statements_to_people_per_merge": round(len(fed.people) / pairs, 2),
    }


def shared(fresh: Callable[[], Fed], partners: int) -> dict[str, float]:
    """One email that stands beside so many customers, one after the other."""
    fed = fresh()
    values = [touchpoint(n, START + n, f'"customer_id":"c{n}","email":"info@example.org"') for n in range(partners)]
    part = partners // 10
    costs, sizes = [], []
    for start in range(0, partners, part):
        before = fed.state_bytes
        costs.append(fed.feed(values[start : start + part]) / part * 1e6)
        sizes.append((fed.state_bytes - before) / part)
    return {
        "partners": partners,
        "microseconds_per_link_first_tenth": round(costs[0], 1),
        "microseconds_per_link_last_tenth": round(costs[-1], 1),
        "changelog_bytes_per_link_last_tenth": round(sizes[-1]),
        "statements_to_people_per_touchpoint": round(len(fed.people) / partners, 3),
    }


def kiosk(fresh: Callable[[], Fed], touchpoints: int) -> dict[str, float]:
    """One device; every thousandth touchpoint is a sign-in, every thousandth comes late by up to a tenth of the whole."""
    fed = fresh()
    chance = random.Random(2)
    part = touchpoints // 10
    costs, late = [], []
    for start in range(0, touchpoints, part):
        values = []
        for number in range(start, start + part):
            who = f'"customer_id":"c{number}",' if number % 1_000 == 0 else ""
            values.append(touchpoint(number, START + number * 1_000, who + '"anonymous_id":"kiosk"'))
        costs.append(fed.feed(values) / part * 1e6)
        before, count = fed.state_bytes, 200
        times = [START + int(chance.uniform(max(0, start - part), start + part)) * 1_000 + 1 for _ in range(count)]
        late_ones = [
            touchpoint(touchpoints * 2 + start + n, at, '"anonymous_id":"kiosk"') for n, at in enumerate(times)
        ]
        late.append((fed.feed(late_ones) / count * 1e6, (fed.state_bytes - before) / count))
    return {
        "touchpoints": touchpoints,
        "microseconds_per_touchpoint_first_tenth": round(costs[0], 1),
        "microseconds_per_touchpoint_last_tenth": round(costs[-1], 1),
        "microseconds_per_late_touchpoint": round(late[-1][0], 1),
        "changelog_bytes_per_late_touchpoint": round(late[-1][1]),
        "changelog_bytes_per_touchpoint": round(fed.state_bytes / touchpoints, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark of the identity leg where it is hard.")
    parser.add_argument("--mix", type=int, default=400_000, help="touchpoints of the usual mix; the second half counts")
    parser.add_argument("--devices", type=int, default=20_000, help="of the touchpoints by what they say")
    parser.add_argument("--merges", type=int, default=10_000)
    parser.add_argument("--partners", type=int, default=10_000)
    parser.add_argument("--kiosk", type=int, default=1_000_000)
    arguments = parser.parse_args()
    on = common.machine()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)  # as in the worker
    settings, definitions = WorkerSettings(), load_definitions()

    def fresh() -> Fed:
        return Fed(IdentityLeg(settings, definitions, DEFAULT_KINDS, 1).partition(0), TOUCHPOINTS.name)

    def fresh_stitch() -> Fed:
        return Fed(StitchLeg(settings, definitions, 1).partition(0), PEOPLE.name)

    common.publish(
        "identity",
        on,
        {
            "partitions": 1,
            "microseconds_by_kind": by_kind(fresh, fresh_stitch, arguments.devices),
            "usual_mix": usual(fresh, fresh_stitch(), arguments.mix),
            "merges": merges(fresh, arguments.merges),
            "shared_identifier": shared(fresh, arguments.partners),
            "kiosk": kiosk(fresh, arguments.kiosk),
        },
    )


if __name__ == "__main__":
    main()
