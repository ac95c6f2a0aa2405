"""`desireline identifiers`: which of them make many people one; keep one from linking, and let it link again."""

from __future__ import annotations

import asyncio
import getpass
import json
from typing import Annotated

import typer
from pydantic import ValidationError

from cli import partners, text
from cli.common import reading
from cli.output import fail, out
from processors.settings import WorkerSettings
from runtime.settings import KafkaSettings
from schemas.codec import encode
from schemas.identity import Kinds, KindsError, normalise
from schemas.messages import Block
from schemas.topics import COMMANDS

app = typer.Typer(help="Find identifiers that link too much, block and release them.", no_args_is_help=True)

Identifier = Annotated[str, typer.Argument(metavar="KIND:VALUE", help="For example email:info@example.com.")]
ReasonOption = Annotated[str, typer.Option(help="Why, for those who ask later.")]


@app.command()
def review(
    limit: Annotated[int, typer.Option(min=1, help="At most this many of each, the worst first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """List what to look at: identifiers that are shared, and customers who have more than 50 identifiers.

    Partners are the different names that stand beside an identifier on touchpoints. A shared identifier (too many partners, or
    blocked) links and names nobody. Of a customer with many identifiers those with most partners are shown: one may be a
    till's, a family's or a placeholder, and blocking it parts whom it made one.
    """
    kinds = configured()
    with reading() as reader:
        shared = partners.shared(reader, kinds, limit)
        large = partners.large(reader, kinds, limit)
    if as_json:
        typer.echo(json.dumps(partners.as_object(shared, large), ensure_ascii=False, indent=2))
        return
    for line in partners.lines(shared, large, kinds.max_links):
        out.print(line, markup=False)


@app.command()
def block(identifier: Identifier, reason: ReasonOption = "") -> None:
    """Let an identifier link and name nobody, also in what came before. `release` undoes it."""
    name = named(identifier, kinds := configured())
    order(Block(name, True, operator(), reason))
    if is_strong(name, kinds):
        follows = "it links and names nobody: who was one customer only through it is several again, and so are their journeys"
    else:
        follows = "it explains nobody: touchpoints without a name on it are the device's own, with their own journeys"
    out.print(f"blocked {name}: within seconds {follows}", markup=False)
    out.print(f"undo: desireline identifiers release '{name}'", markup=False)


@app.command()
def release(identifier: Identifier, reason: ReasonOption = "") -> None:
    """Let a blocked identifier link and name again, also in what came before. `block` undoes it."""
    name = named(identifier, kinds := configured())
    order(Block(name, False, operator(), reason))
    if is_strong(name, kinds):
        follows = f"it links and names again, unless it has more than {kinds.max_links} partners"
    else:
        follows = "touchpoints without a name on it belong again to who is named on it next, else last"
    out.print(f"released {name}: within seconds {follows}", markup=False)
    out.print(f"undo: desireline identifiers block '{name}'", markup=False)


def configured() -> Kinds:
    """The kinds of DESIRELINE_IDENTITY. Ends the command if they cannot be read."""
    try:
        return WorkerSettings().kinds
    except KindsError as error:
        raise fail(" ".join(str(error).split())) from error
    except ValidationError as error:
        raise fail("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())) from error


def named(identifier: str, kinds: Kinds) -> str:
    """The identifier as it is stored. Ends the command if it is none."""
    kind, colon, value = identifier.strip().partition(":")
    if not colon:
        raise fail(f"{identifier!r} is not an identifier: write KIND:VALUE, for example email:info@example.com")
    if kind not in kinds.names:
        raise fail(f"{kind!r} is not a kind of identifier: choose one of {', '.join(kinds.names)}")
    value = normalise(kind, value, kinds)
    if not value:
        raise fail(f"nothing is left of {identifier!r}: such a value means nobody and is never stored")
    return f"{kind}:{value}"


def is_strong(identifier: str, kinds: Kinds) -> bool:
    return identifier.partition(":")[0] in kinds.strong


def operator() -> str:
    """Who runs this command; "" where the system does not know."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def order(said: Block) -> None:
    """Give it to the identity leg; returns when Kafka has it on disk. Ends the command when Kafka does not take it."""
    from aiokafka.errors import KafkaError

    kafka = KafkaSettings()
    try:
        asyncio.run(_send(kafka, said))
    except (KafkaError, OSError, TimeoutError) as error:
        why = text.plain(str(error)) or type(error).__name__
        raise fail(
            f"nothing was ordered, Kafka at {kafka.bootstrap} does not take it ({why}): desireline up"
        ) from error


async def _send(kafka: KafkaSettings, said: Block) -> None:
    from aiokafka import AIOKafkaProducer

    from runtime.kafka import partition_counts, partition_of

    key = said.identifier.encode()
    count = (await partition_counts(kafka, [COMMANDS.name]))[COMMANDS.name]
    producer = AIOKafkaProducer(**kafka.client(), acks="all", enable_idempotence=True)
    await producer.start()
    try:
        await producer.send_and_wait(COMMANDS.name, encode(said), key=key, partition=partition_of(key, count))
    finally:
        await producer.stop()
