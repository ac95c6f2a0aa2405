"""Kafka's jars: a download that was interrupted must not stop every later start."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from deploy.local import jars
from deploy.local.errors import StackError


class FakeArtifact:
    """Downloads these contents one after the other, whenever its file is not there."""

    def __init__(self, path: Path, *downloads: bytes) -> None:
        self.path = path
        self.downloads = list(downloads)

    def resolve(self) -> Path:
        if not self.path.exists():
            self.path.write_bytes(self.downloads.pop(0))
        return self.path


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    with zipfile.ZipFile(tmp_path / "whole.jar", "w") as jar:
        jar.writestr("kafka/Kafka.class", "x" * 1000)
    return (tmp_path / "whole.jar").read_bytes()


@pytest.fixture(autouse=True)
def _repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))


def test_a_truncated_jar_is_fetched_again(tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = FakeArtifact(tmp_path / "kafka.jar", whole)
    kafka.path.write_bytes(whole[:500])
    logging = FakeArtifact(tmp_path / "logging.jar", whole)
    monkeypatch.setattr("jgo.resolve", lambda name: [kafka] if name == jars.KAFKA else [logging])
    seen: list[tuple[int, int]] = []
    assert jars.classpath(lambda done, of: seen.append((done, of))) == [kafka.path, logging.path]
    assert kafka.path.read_bytes() == whole
    assert seen == [(1, 2), (2, 2)]


def test_a_jar_that_arrives_damaged_is_said(tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = FakeArtifact(tmp_path / "kafka.jar", whole[:500], whole[:600])
    logging = FakeArtifact(tmp_path / "logging.jar", whole)
    monkeypatch.setattr("jgo.resolve", lambda name: [kafka] if name == jars.KAFKA else [logging])
    with pytest.raises(StackError, match=r"kafka\.jar arrived damaged.*set KAFKA_BOOTSTRAP"):
        jars.classpath()
