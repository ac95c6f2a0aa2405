"""`desireline tail`: touchpoints as they are accepted."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from cli.output import err, fail, out
from runtime.settings import KafkaSettings
from schemas.codec import decode_stored
from schemas.topics import TOUCHPOINTS

if TYPE_CHECKING:
    from kafka import KafkaConsumer

POLL_MILLISECONDS = 200
CONNECT_SECONDS = 10.0


def tail(
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Everything that Kafka still has.")] = False,
    last: Annotated[int, typer.Option(min=0, help="Begin with about this many that came before.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="The records as they are, one a line.")] = False,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after this many.")] = None,
) -> None:
    """Print touchpoints as they are accepted, until Ctrl-C."""
    try:
        for number, value in enumerate(_records(KafkaSettings(), from_beginning, last), 1):
            if as_json:
                sys.stdout.buffer.write(value + b"\n")
                sys.stdout.buffer.flush()
            else:
                out.print(_line(value), markup=False)
            if number == count:
                return
    except KeyboardInterrupt:
        err.print("")
    except BrokenPipeError:  # `desireline tail | head`
        sys.stderr.close()


def _records(kafka: KafkaSettings, from_beginning: bool, last: int) -> Iterator[bytes]:
    consumer = _consumer(kafka)
    try:
        partitions = list(consumer.assignment())
        begins, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
        for partition in partitions:
            back = ends[partition] if from_beginning else -(-last // len(partitions))
            consumer.seek(partition, max(begins[partition], ends[partition] - back))
        while True:
            for records in consumer.poll(timeout_ms=POLL_MILLISECONDS).values():
                for record in records:
                    yield record.value or b""
    finally:
        consumer.close()


def _consumer(kafka: KafkaSettings) -> KafkaConsumer:
    """A consumer of every partition of the topic, in no group."""
    from kafka import KafkaConsumer, TopicPartition
    from kafka.errors import KafkaError

    try:
        consumer = KafkaConsumer(
            **kafka.client(),
            isolation_level="read_committed",
            enable_auto_commit=False,
            group_id=None,
            bootstrap_timeout_ms=int(CONNECT_SECONDS * 1000),
        )
    except (KafkaError, OSError) as error:
        raise fail(f"no Kafka at {kafka.bootstrap} ({error}): is it running? desireline up") from error
    give_up = time.monotonic() + CONNECT_SECONDS
    while not (numbers := consumer.partitions_for_topic(TOUCHPOINTS.name)):
        if time.monotonic() > give_up:
            consumer.close()
            raise fail(f"no topic {TOUCHPOINTS.name} at {kafka.bootstrap}: run desireline topics create")
        time.sleep(0.1)
    consumer.assign([TopicPartition(TOUCHPOINTS.name, number) for number in sorted(numbers)])
    return consumer


def _line(value: bytes) -> str:
    """`12:00:00.123  web          product_viewed            customer_id:17`"""
    try:
        touchpoint: Any = decode_stored.decode(value)
        moment = datetime.fromtimestamp(touchpoint.occurred_at / 1000, UTC)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError, ValueError, OSError):
        return f"not a touchpoint: {value[:200]!r}"
    who = " ".join(f"{kind}:{name}" for kind, name in touchpoint.identifiers.items())
    more = []
    if touchpoint.value is not None:
        more.append(f"{touchpoint.value.amount} {touchpoint.value.currency} (minor units)")
    if touchpoint.feedback is not None:
        score = "" if touchpoint.feedback.score is None else f" {touchpoint.feedback.score}"
        more.append(f"{touchpoint.feedback.kind}{score}")
    if touchpoint.retracted:
        more.append("retracted")
    when = moment.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
    return f"{when}  {touchpoint.channel:<12} {touchpoint.name:<28} {who}  {'  '.join(more)}".rstrip()
