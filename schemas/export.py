"""Writes the JSON Schemas of touchpoints beside their examples: `python -m schemas.export`. A test compares."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel

from schemas.touchpoint import StoredTouchpoint, Touchpoint

FOLDER = Path(__file__).parent / "examples"
MODELS: dict[str, type[BaseModel]] = {
    "touchpoint.schema.json": Touchpoint,
    "stored_touchpoint.schema.json": StoredTouchpoint,
}


def exported(model: type[BaseModel]) -> str:
    """The text of a model's schema file."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, model in MODELS.items():
        (FOLDER / name).write_text(exported(model), encoding="utf-8")
        print(FOLDER / name)


if __name__ == "__main__":
    main()
