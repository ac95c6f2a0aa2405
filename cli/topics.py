"""`desireline topics`: create the topics, list what they are for."""

from __future__ import annotations

import asyncio

import typer
from rich.console import Console
from rich.table import Table

from processors.settings import WorkerSettings
from runtime.kafka import TopicSpec, create_topics
from schemas.topics import DEFAULT_PARTITIONS, TOPICS, Generation

app = typer.Typer(help="Create, list and resize the Kafka topics.", no_args_is_help=True)


@app.command()
def create(
    partitions: int = typer.Option(
        DEFAULT_PARTITIONS, min=1, max=1024, help="Of every topic; changed by `topics resize` only."
    ),
) -> None:
    """Create the topics that do not exist yet. Safe to run again."""
    settings = WorkerSettings()
    wanted = Generation(settings.generation).topics
    created = create_topics(settings, [TopicSpec(topic.name, partitions, topic.config) for topic in wanted])
    for name in created:
        typer.echo(f"created {name} with {partitions} partitions")
    if not created:
        typer.echo("all topics exist")


@app.command()
def resize(
    partitions: int = typer.Argument(min=1, max=1024, help="How many partitions every topic is to have."),
) -> None:
    """Give all topics more partitions and move the state along. Stop collectors and workers first."""
    from processors.resize import NotAtRest  # Kafka's clients take a moment to import
    from processors.resize import resize as grow

    try:
        settings = WorkerSettings()
        done = asyncio.run(grow(settings, partitions, typer.echo, settings.generation))
    except (NotAtRest, ValueError) as error:
        typer.echo(f"not resized: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(
        f"all topics have {partitions} partitions; state keys moved: {done.moved}; start workers and collectors again"
    )


@app.command(name="list")
def list_topics() -> None:
    """What each topic holds, its key and its retention."""
    table = Table("topic", "key", "written by", "holds", "kept")
    for topic in TOPICS:
        days = int(topic.config.get("retention.ms", 0)) // 86_400_000
        table.add_row(topic.name, topic.key, topic.writer, topic.holds, f"{days} days" if days else "latest per key")
    Console().print(table)
