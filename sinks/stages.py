"""The stages of the journey definitions as rows, so that queries can show names for ranks, and which journeys are live."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.codec import encode
from schemas.definition import Definition, content_hash


def stage_lines(definitions: Sequence[Definition], generation: int = 1) -> list[bytes]:
    """One JSON object per definition and stage, as this generation has them, for queries/insert_stages.sql."""
    contents = content(definitions)
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
                "content": contents[definition.name],
            }
        )
        for definition in definitions
        for rank, stage in enumerate(definition.stages, 1)
    ]


def content(definitions: Sequence[Definition]) -> dict[str, str]:
    """Name → hex digits that differ wherever the definition means something else, or has another place among the others."""
    return {one.name: f"{place:02}-{content_hash([one]).hex()[:16]}" for place, one in enumerate(definitions)}
