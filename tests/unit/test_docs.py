"""The documentation says what the code does: the reference is current, links lead somewhere, commands exist."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import get_args

import pytest
import typer

from cli.main import app
from schemas.dead_letter import REASONS, Reason

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_the_reference_is_current() -> None:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs/reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
    assert module.page() == written, "run `python docs/reference.py`"


def test_every_reason_has_its_meaning() -> None:
    assert list(REASONS) == list(get_args(Reason))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_files_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    known: set[str] = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    for command in re.findall(r"(?:^|`|\$ )desireline ([a-z][a-z-]*)", text, re.MULTILINE):
        assert command in known, f"{page.name} names `desireline {command}`, which does not exist"
    for target in re.findall(r"`make ([a-z]+)", text):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), f"no `make {target}`"
    for file in re.findall(
        r"`((?:tests|docs|schemas|runtime|ingest|processors|sinks|deploy|cli|people|dashboard|alerts|benchmarks|examples)/[\w./-]+)`",
        text,
    ):
        assert (ROOT / file).exists(), f"{page.name} names {file}, which is not there"
