"""What must be there before the processes start: `python -m deploy.prepare topics|migrations`. Safe to run again."""

from __future__ import annotations

import argparse

from runtime.kafka import TopicSpec, create_topics
from runtime.settings import ClickHouseSettings, KafkaSettings
from schemas.topics import DEFAULT_PARTITIONS, TOPICS


def topics(kafka: KafkaSettings, partitions: int) -> None:
    """Create the topics that are missing, as `schemas/topics.py` declares them."""
    created = create_topics(kafka, [TopicSpec(topic.name, partitions, topic.config) for topic in TOPICS])
    print(f"topics created: {', '.join(created) or 'none, all were there'}")


def migrations(clickhouse: ClickHouseSettings) -> None:
    """Bring ClickHouse's tables to the version that this release expects."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.prepare", description=__doc__)
    parser.add_argument("what", choices=["topics", "migrations"])
    parser.add_argument("--partitions", type=int, default=DEFAULT_PARTITIONS, help="of each topic that is created")
    arguments = parser.parse_args()
    if arguments.what == "topics":
        topics(KafkaSettings(), arguments.partitions)
    else:
        migrations(ClickHouseSettings())


if __name__ == "__main__":
    main()
