"""The worker process: wires the identity leg and the stitch leg to Kafka. `python -m processors.app [identity|stitch]`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from aiokafka.errors import KafkaConnectionError
from pydantic import ValidationError

from processors.dead_letters import DeadLetters
from processors.identity import IdentityPartition
from processors.settings import WorkerSettings
from processors.stitching import StitchPartition
from runtime.chunked.leg import Leg
from runtime.chunked.settings import StoreSettings
from runtime.chunked.worker import EXIT_FAILURE, run_legs
from runtime.kafka import partition_counts, wait_for_broker
from runtime.logging import configure
from schemas import topics
from schemas.definition import Definition, DefinitionsError, load_definitions
from schemas.identity import Kinds, KindsError, load_kinds

# A transaction of the identity leg reaches every partition of `people`: at 20 a second it costs three times what it costs
# at 5 (DESIGN of the store: docs/decisions/chunked-store.md).
STORES = {"identity": StoreSettings(interval_idle=0.2)}

log = structlog.get_logger()


@dataclass(frozen=True)
class IdentityLeg:
    """touchpoints, identity, commands → people, identities, identity."""

    settings: WorkerSettings
    definitions: Sequence[Definition]
    kinds: Kinds
    partitions: int
    name: str = "identity"
    sources: tuple[str, ...] = (topics.TOUCHPOINTS.name, topics.IDENTITY.name, topics.COMMANDS.name)
    changelog: str = topics.IDENTITY_CHANGELOG.name

    def partition(self, number: int) -> IdentityPartition:
        return IdentityPartition(
            number,
            self.definitions,
            secret=self.settings.secret.get_secret_value().encode(),
            partitions=self.partitions,
            dead_letters=DeadLetters(topics.DEAD_LETTERS.name, self.partitions, "identity"),
            kinds=self.kinds,
            generation=self.settings.generation,
        )


@dataclass(frozen=True)
class StitchLeg:
    """people → journeys."""

    settings: WorkerSettings
    definitions: Sequence[Definition]
    partitions: int
    name: str = "stitch"
    sources: tuple[str, ...] = (topics.PEOPLE.name,)
    changelog: str = topics.STITCH_CHANGELOG.name

    def partition(self, number: int) -> StitchPartition:
        return StitchPartition(
            number,
            self.definitions,
            generation=self.settings.generation,
            partitions=self.partitions,
            max_touchpoints=self.settings.max_touchpoints,
            journeys=topics.JOURNEYS.name,
            dead_letters=DeadLetters(topics.DEAD_LETTERS.name, self.partitions, "stitch"),
        )


def legs(settings: WorkerSettings, partitions: int) -> tuple[Leg, ...]:
    """Both legs. Raises DefinitionsError, KindsError."""
    definitions, kinds = load_definitions(settings.definitions), load_kinds(settings.identity)
    return IdentityLeg(settings, definitions, kinds, partitions), StitchLeg(settings, definitions, partitions)


async def _partitions(settings: WorkerSettings) -> int:
    await wait_for_broker(settings)
    return (await partition_counts(settings, [topics.TOUCHPOINTS.name]))[topics.TOUCHPOINTS.name]


def run(only: str | None = None) -> int:
    """Run both legs, or the one named, until SIGTERM; the exit code."""
    try:
        settings = WorkerSettings()
    except ValidationError as error:
        print(error, file=sys.stderr)
        return 2
    configure("worker", settings.log_level)
    try:
        chosen = [leg for leg in legs(settings, asyncio.run(_partitions(settings))) if only in (None, leg.name)]
    except (DefinitionsError, KindsError) as error:
        log.error("not started: a file of settings cannot be used", error=str(error))
        return 2
    except (TimeoutError, KafkaConnectionError) as error:
        log.error("not started", error=f"{error}; is Kafka up, and did `desireline topics create` run?")
        return EXIT_FAILURE
    if not chosen:
        log.error("not started", error=f"there is no leg {only!r}; choose identity or stitch")
        return 2
    return run_legs(chosen, settings, STORES)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1] if len(sys.argv) > 1 else None))
