"""The jars of Apache Kafka, from Maven Central through jgo, kept where Maven keeps them (`~/.m2/repository`)."""

from __future__ import annotations

import fcntl
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jgo
from jgo.config import GlobalSettings
from jgo.maven import Artifact

from deploy.local.errors import StackError

KAFKA_VERSION = "4.3.1"
KAFKA = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}"
# Resolved on its own and without what it depends on: next to Kafka its bill of materials would pull kafka-clients down
# to 3.8, which ends in a NoSuchMethodError when the broker starts. Without it Kafka runs, but logs nothing.
LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"
DOWNLOADS_AT_A_TIME = 8


def classpath(on_progress: Callable[[int, int], None] | None = None) -> list[Path]:
    """Every jar that the broker needs, downloaded if missing (45 MB once per user, shared by all data folders).

    `on_progress(done, of)` is called as jars arrive. Raises `StackError` when Maven Central cannot be reached.
    """
    repository = Path(GlobalSettings.load().repo_cache)
    repository.mkdir(parents=True, exist_ok=True)
    with (repository / ".desireline.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # jgo writes in place: two at once would read each other's half-written jars
        try:
            artifacts = [*jgo.resolve(KAFKA), jgo.resolve(LOGGING)[0]]
            jars = []
            with ThreadPoolExecutor(DOWNLOADS_AT_A_TIME) as pool:
                for done, jar in enumerate(pool.map(_whole, artifacts), start=1):
                    jars.append(jar)
                    if on_progress:
                        on_progress(done, len(artifacts))
        except (OSError, RuntimeError, ValueError) as error:  # what requests, jgo and its XML reader raise
            raise StackError(
                f"the jars of Kafka {KAFKA_VERSION} could not be downloaded from Maven Central ({error}): check the "
                "network or proxy (HTTPS_PROXY), or set KAFKA_BOOTSTRAP to a Kafka that you have"
            ) from error
    return jars


def _whole(artifact: Artifact) -> Path:
    """The artifact's jar; one that an interrupted download left truncated is fetched again."""
    jar = Path(artifact.resolve())
    if not zipfile.is_zipfile(jar):
        jar.unlink()
        jar = Path(artifact.resolve())
        if not zipfile.is_zipfile(jar):
            raise ValueError(f"{jar.name} arrived damaged")
    return jar
