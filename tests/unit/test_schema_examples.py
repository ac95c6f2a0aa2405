"""The exported JSON Schemas are current, and the examples beside them are what they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ingest.accept import Accepted, Rejected, accept
from ingest.source import Source
from schemas.export import FOLDER, MODELS, exported
from schemas.touchpoint import StoredTouchpoint

NOW = 1_790_000_000_000  # after every example
VALID = sorted(FOLDER.glob("valid/*.json"))
INVALID = sorted(FOLDER.glob("invalid/*.json"))


@pytest.mark.parametrize("name", MODELS)
def test_exported_schemas_are_current(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == exported(MODELS[name]), "run python -m schemas.export"


def test_there_are_examples() -> None:
    assert len(VALID) >= 10
    assert len(INVALID) >= 10


@pytest.mark.parametrize("file", VALID, ids=lambda file: file.stem)
def test_valid_examples_are_accepted(file: Path) -> None:
    result = accept(file.read_bytes(), Source("example"), NOW)
    assert isinstance(result, Accepted), result
    StoredTouchpoint.model_validate_json(result.value)


@pytest.mark.parametrize("file", INVALID, ids=lambda file: file.stem)
def test_invalid_examples_are_rejected_for_their_reason(file: Path) -> None:
    example = json.loads(file.read_bytes())
    result = accept(json.dumps(example["touchpoint"]).encode(), Source("example"), NOW)
    assert isinstance(result, Rejected)
    assert (result.reason, result.path) == (example["reason"], example["path"])
