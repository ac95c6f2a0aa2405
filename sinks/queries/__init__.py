"""The query texts, one file each; code asks for them by name."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def query(name: str) -> str:
    """Text of `<name>.sql` in this folder, without its final semicolon."""
    return (Path(__file__).parent / f"{name}.sql").read_text(encoding="utf-8").strip().rstrip(";")
