"""Prometheus' promtool, for tests of its rules: the one on the PATH, or the one of Debian's package, unpacked without root.

    python -m tests.promtool     # prints where it is

It is fetched once (19 MB) and kept in the user's cache.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

PACKAGE = "prometheus"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "desireline" / "promtool"


class NoPromtool(Exception):
    """It is not here and cannot be fetched; says what helps."""


def promtool() -> Path:
    """An executable. Raises NoPromtool."""
    found = shutil.which("promtool")
    if found:
        return Path(found)
    kept = CACHE / "promtool"
    if not kept.exists():
        _fetch(kept)
    return kept


def _fetch(kept: Path) -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise NoPromtool("promtool is not installed, and this is no Debian: install Prometheus, it comes with it")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        try:
            _apt(folder)
        except (
            subprocess.CalledProcessError
        ):  # the machine's own lists are missing or out of date: read them into our own
            own = _own_lists(Path(folder))
            _apt(folder, *own, command=["update"])
            _apt(folder, *own)
        (package,) = Path(folder).glob(f"{PACKAGE}_*.deb")
        subprocess.run(["dpkg-deb", "--extract", str(package), folder], check=True)
        draft = kept.with_suffix(f".{os.getpid()}")
        shutil.copy(Path(folder) / "usr/bin/promtool", draft)
        os.replace(draft, kept)  # at once: two test runs may be fetching


def _own_lists(folder: Path) -> list[str]:
    lists, cache = folder / "lists", folder / "cache"
    for one in (lists / "partial", cache / "archives" / "partial"):
        one.mkdir(parents=True)
    return ["-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={cache}"]


def _apt(folder: str, *options: str, command: list[str] | None = None) -> None:
    subprocess.run(
        ["apt-get", "-qq", *options, *(command or ["download", PACKAGE])], cwd=folder, check=True, capture_output=True
    )


if __name__ == "__main__":
    print(promtool())
