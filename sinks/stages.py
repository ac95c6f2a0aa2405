"""The stages of the journey definitions as rows, so that queries can show names for ranks."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.codec import encode
from schemas.definition import Definition


def stage_lines(definitions: Iterable[Definition], generation: int = 1) -> list[bytes]:
    """One JSON object per definition and stage, as this generation has them, for queries/insert_stages.sql."""
    return [
        encode(
            {
                "definition": definition.name,
                "stage": rank,
                "definition_version": definition.version,
                "name": stage.name,
                "patience_ms": stage.patience,
                "is_goal": stage.name == definition.goal,
                "generation": generation,
            }
        )
        for definition in definitions
        for rank, stage in enumerate(definition.stages, 1)
    ]
