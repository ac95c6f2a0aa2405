"""What `desireline replay start --from clickhouse` does first: brings the touchpoints that ClickHouse has into a topic of the
generation, which its workers read before they go on with the log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import typer
from aiokafka import TopicPartition
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from cli.common import now
from cli.output import err, fail, out
from processors.cutting import Cut, appended, cut, positions, until_sunk
from processors.stored import saying_when
from runtime import generations
from runtime.chunked.leg import Output
from runtime.chunked.transaction import Transaction, commit, fence
from runtime.kafka import partition_counts, partition_of
from schemas.topics import TOUCHPOINTS, Generation
from sinks import stored
from sinks.generations import live

if TYPE_CHECKING:
    from processors.settings import WorkerSettings
    from sinks.reader import Reader

RANGE_ROWS = 20_000  # in one transaction: some megabytes, a second
_ERASING = "SELECT count() FROM system.parts WHERE database = currentDatabase() AND table = 'erasing' AND active"


def cut_off(settings: WorkerSettings, number: int, sink_group: str, reader: Reader, *, wanted: bool) -> Cut | None:
    """Where the generation is to read on in the log; None if it has begun, or is to read all of it: `wanted` says which.

    Ends the command while an erasure is under way. Raises CannotReplay, InUse, KafkaError, the driver's errors.
    """
    if asyncio.run(positions(settings, Generation(number).group("identity"))):
        return None
    if not wanted and number not in generations.filling(settings):
        return None
    generations.require_idle(settings, number)
    if reader.ask(_ERASING).rows[0][0]:
        raise fail("an erasure is under way or was broken off: let it finish, or run it again, first")
    with err.status("looking for the place in the log up to which everything is in ClickHouse"):
        found = asyncio.run(cut(settings, live(reader), number))
        asyncio.run(until_sunk(settings, sink_group, found.positions))
    if found.doubtful:
        some = ", ".join(map(str, sorted(found.doubtful)))
        err.print(
            f"what generation {live(reader)} has counted does not fit what its workers have read (partitions {some}): the "
            "ledger of the new one begins with it, and will not say what became of the difference",
            markup=False,
        )
    return found


def fill(settings: WorkerSettings, number: int, reader: Reader) -> None:
    """Write what ClickHouse has into the generation's topic, from where this was broken off. Ctrl-C ends the command.

    Raises KafkaError, and the driver's errors.
    """
    try:
        asyncio.run(_fill(settings, number, reader))
    except KeyboardInterrupt as error:
        out.print(f"stopped; run the same command again and generation {number} goes on", markup=False)
        raise typer.Exit from error


async def _fill(settings: WorkerSettings, number: int, reader: Reader) -> None:
    own = Generation(number)
    topic, group = own.stored.name, own.group("replay")
    place = TopicPartition(
        topic, 0
    )  # how far it is stands in its group's offset: the next id, in the transaction of the records
    at = (await positions(settings, group)).get(place, stored.FIRST)
    if at >= stored.END:
        return
    known = await positions(settings, own.group("identity"))
    begins = {where: offset for where, offset in known.items() if where.topic == TOUCHPOINTS.name}
    times = await appended(settings, begins, now())
    before = {where.partition: (times[where.partition], offset) for where, offset in begins.items()}
    partitions = (await partition_counts(settings, [topic]))[topic]

    def wanted(address: str, at: int, offset: int) -> bool:
        """Is it from before the place where the log is read on? Offsets of before `topics resize` are of another partition."""
        return (at, offset) < before[partition_of(address.encode(), partitions)]

    total = max(stored.count(reader), 1)
    step = max(1, (stored.END - stored.FIRST) * RANGE_ROWS // total)
    columns = TextColumn("{task.description:<20}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    producer = await fence(settings, f"{group}-fill")
    try:
        with Progress(*columns, console=err) as bars:
            bar = bars.add_task("from ClickHouse", total=stored.END - stored.FIRST, completed=at - stored.FIRST)
            while at < stored.END:
                high = min(at + step, stored.END)
                found = sorted(stored.records(reader, settings.kinds, at, high, wanted), key=lambda one: one.appended)
                outputs = [
                    Output(topic, partition_of(one.key, partitions), one.key, saying_when(one.value, one.appended))
                    for one in found
                ]
                await commit(producer, Transaction(place, {}, outputs, {place: high}, group))
                at = high
                bars.update(bar, completed=at - stored.FIRST)
    finally:
        await producer.stop()
