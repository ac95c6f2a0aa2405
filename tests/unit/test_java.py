"""The cache of Kafka's classes: written once, taken only when it is finished."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from deploy.local.java import cache_options


def _pid_of_the_dead() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_without_a_cache_this_process_writes_a_draft(tmp_path: Path) -> None:
    cache = tmp_path / "jgo" / "kafka-1.aot"
    assert cache_options(cache) == [f"-XX:AOTCacheOutput={tmp_path}/jgo/kafka-1.{os.getpid()}.draft"]
    assert cache.parent.is_dir()


def test_a_draft_is_taken_when_its_writer_has_ended(tmp_path: Path) -> None:
    cache = tmp_path / "kafka-1.aot"
    (tmp_path / f"kafka-1.{os.getpid()}.draft").write_text("half")
    assert cache_options(cache)[0].startswith("-XX:AOTCacheOutput=")
    (tmp_path / f"kafka-1.{_pid_of_the_dead()}.draft").write_text("whole")
    assert cache_options(cache) == [f"-XX:AOTCache={cache}"]
    assert cache.read_text() == "whole"
    assert (tmp_path / f"kafka-1.{os.getpid()}.draft").exists()
