"""One worker process of the proof: `python -m tests.prove.chunked.worker BOOTSTRAP NAME[,NAME] [MUTANT]`.

A mutant is a fault planted in the store on purpose; the proof must catch each:
`outside` writes outputs outside the transaction, `roundrobin` uses the assignor that Faust would use, `unfenced` gives
each process transactional ids of its own.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from aiokafka import AIOKafkaProducer
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from runtime import logging as process_logging
from runtime.chunked import owned, privates
from runtime.chunked.settings import StoreSettings
from runtime.chunked.transaction import Transaction, commit, fence
from runtime.chunked.worker import run_legs
from runtime.settings import KafkaSettings
from tests.prove.chunked.job import Counting

# Small batches: back-pressure and many transactions at a modest rate of input.
SETTINGS = StoreSettings(interval_idle=0.05, interval_busy=0.2, batch=500)


def plant_outside(kafka: KafkaSettings) -> None:
    """Outputs go out first, by a plain producer."""
    plain: list[AIOKafkaProducer] = []

    async def leaky(producer: AIOKafkaProducer, transaction: Transaction) -> None:
        if not plain:
            plain.append(AIOKafkaProducer(**kafka.client(), linger_ms=5))
            await plain[0].start()
        for sent in [await plain[0].send(o.topic, o.value, o.key, o.partition) for o in transaction.outputs]:
            await sent
        await commit(producer, transaction._replace(outputs=()))

    vars(owned)["commit"] = leaky


def plant_roundrobin(_: KafkaSettings) -> None:
    """Partitions of the sources are spread as if they had nothing to do with each other."""
    vars(privates)["RangePartitionAssignor"] = RoundRobinPartitionAssignor


def plant_unfenced(_: KafkaSettings) -> None:
    """Nobody fences the owner before."""

    async def own(kafka: KafkaSettings, transactional_id: str) -> AIOKafkaProducer:
        return await fence(kafka, f"{transactional_id}-{os.getpid()}")

    vars(owned)["fence"] = own


MUTANTS = {"outside": plant_outside, "roundrobin": plant_roundrobin, "unfenced": plant_unfenced}


def main(bootstrap: str, names: str, mutant: str = "") -> NoReturn:
    process_logging.configure(f"worker-{os.getpid()}")
    kafka = KafkaSettings(bootstrap=bootstrap)
    if mutant:
        MUTANTS[mutant](kafka)
    legs = [Counting(name) for name in names.split(",")]
    run_legs(legs, kafka, {leg.name: SETTINGS for leg in legs})


if __name__ == "__main__":
    main(*sys.argv[1:])
