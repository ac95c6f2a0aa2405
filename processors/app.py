"""The worker process: wires the identity leg and the stitch leg to Kafka. `python -m processors.app [identity|stitch]`."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from aiokafka.errors import KafkaConnectionError
from pydantic import ValidationError

from processors import horizon
from processors.dead_letters import DeadLetters, refused_addresses
from processors.identity import IdentityPartition
from processors.settings import WorkerSettings
from processors.stitching import StitchPartition
from runtime.chunked.leg import Leg
from runtime.chunked.settings import StoreSettings
from runtime.chunked.worker import EXIT_FAILURE, run_legs
from runtime.kafka import partition_counts, reader, wait_for_broker
from runtime.logging import configure
from schemas import topics
from schemas.definition import Definition, DefinitionsError, load_definitions
from schemas.identity import Kinds, KindsError
from schemas.rule import UNITS

# A transaction of the identity leg reaches every partition of `people`: at 20 a second it costs three times what it costs
# at 5. But a name that a partition has not met before is asked for in one, answered in the next, and heard of for the third:
# a customer's first journey waits for three of them (docs/decisions/chunked-store.md).
STORES = {"identity": StoreSettings(interval_idle=0.1)}

log = structlog.get_logger()


@dataclass(frozen=True)
class IdentityLeg:
    """touchpoints, identity, commands → people, identities, identity."""

    settings: WorkerSettings
    definitions: Sequence[Definition]
    kinds: Kinds
    partitions: int
    refused: frozenset[str] = frozenset()  # addresses that have their dead letter from another generation
    replay_from: int = 0  # ms: what was appended earlier may be from before a resize
    filling: bool = False  # it reads what ClickHouse had, and the log after that

    @property
    def name(self) -> str:
        return topics.Generation(self.settings.generation).group("identity")

    @property
    def sources(self) -> tuple[str, ...]:
        own = topics.Generation(self.settings.generation)
        touchpoints = own.stored if self.filling else topics.TOUCHPOINTS
        return touchpoints.name, *(own.topic(one).name for one in (topics.IDENTITY, topics.COMMANDS))

    @property
    def changelog(self) -> str:
        return topics.Generation(self.settings.generation).topic(topics.IDENTITY_CHANGELOG).name

    def partition(self, number: int) -> IdentityPartition:
        return IdentityPartition(
            number,
            self.definitions,
            secret=self.settings.secret.get_secret_value().encode(),
            partitions=self.partitions,
            dead_letters=DeadLetters(topics.DEAD_LETTERS.name, self.partitions, "identity", self.refused),
            kinds=self.kinds,
            generation=self.settings.generation,
            resized_before=self.replay_from,
        )


@dataclass(frozen=True)
class StitchLeg:
    """people → journeys, outcomes."""

    settings: WorkerSettings
    definitions: Sequence[Definition]
    partitions: int
    replay_from: int = 0  # ms: a replay of what came before takes all of it in

    @property
    def name(self) -> str:
        return topics.Generation(self.settings.generation).group("stitch")

    @property
    def sources(self) -> tuple[str, ...]:
        return (topics.Generation(self.settings.generation).topic(topics.PEOPLE).name,)

    @property
    def changelog(self) -> str:
        return topics.Generation(self.settings.generation).topic(topics.STITCH_CHANGELOG).name

    def partition(self, number: int) -> StitchPartition:
        return StitchPartition(
            number,
            self.definitions,
            generation=self.settings.generation,
            partitions=self.partitions,
            max_touchpoints=self.settings.max_touchpoints,
            journeys=topics.Generation(self.settings.generation).topic(topics.JOURNEYS).name,
            outcomes_topic=topics.Generation(self.settings.generation).topic(topics.OUTCOMES).name,
            late_topic=topics.Generation(self.settings.generation).topic(topics.LATE).name,
            outage_grace=round(self.settings.outage_grace * 1_000),
            horizon=round(self.settings.horizon * UNITS["d"]),
            replayed_until=self.replay_from,
            dead_letters=DeadLetters(topics.DEAD_LETTERS.name, self.partitions, "stitch"),
        )


def legs(
    settings: WorkerSettings, partitions: int, refused: frozenset[str] = frozenset(), *, filling: bool = False
) -> dict[str, Leg]:
    """Both legs by their names in generation 1. Raises DefinitionsError, KindsError, HorizonTooShort."""
    definitions, kinds = load_definitions(settings.definitions), settings.kinds
    horizon.check(round(settings.horizon * UNITS["d"]), definitions)
    started = 0 if settings.generation == 1 else int(time.time() * 1000)
    return {
        "identity": IdentityLeg(settings, definitions, kinds, partitions, refused, started, filling),
        "stitch": StitchLeg(settings, definitions, partitions, started),
    }


async def _found(settings: WorkerSettings) -> tuple[int, frozenset[str], bool]:
    """Partitions of the line; addresses that have their dead letter already, where another generation may have been there; is
    ours being built from what ClickHouse had?"""
    await wait_for_broker(settings)
    counts = await partition_counts(settings, [topics.TOUCHPOINTS.name, topics.DEAD_LETTERS.name])
    refused = await refused_addresses(settings) if settings.generation > 1 else frozenset()
    async with reader(settings) as consumer:
        filling = topics.Generation(settings.generation).stored.name in await consumer.topics()
    return counts[topics.TOUCHPOINTS.name], refused, filling


def run(only: str | None = None) -> int:
    """Run both legs, or the one named, until SIGTERM; the exit code."""
    try:
        settings = WorkerSettings()
    except ValidationError as error:
        print(error, file=sys.stderr)
        return 2
    configure("worker", settings.log_level)
    try:
        partitions, refused, filling = asyncio.run(_found(settings))
        found = legs(settings, partitions, refused, filling=filling)
        chosen = {name: leg for name, leg in found.items() if only in (None, name)}
    except (DefinitionsError, KindsError) as error:
        log.error("not started: a file of settings cannot be used", error=str(error))
        return 2
    except horizon.HorizonTooShort as error:
        log.error("not started", error=str(error))
        return 2
    except (TimeoutError, KafkaConnectionError) as error:
        log.error("not started", error=f"{error}; is Kafka up, and did `desireline topics create` run?")
        return EXIT_FAILURE
    if not chosen:
        log.error("not started", error=f"there is no leg {only!r}; choose identity or stitch")
        return 2
    stores = {leg.name: STORES[name] for name, leg in chosen.items() if name in STORES}
    return run_legs(list(chosen.values()), settings, stores)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1] if len(sys.argv) > 1 else None))
