"""Bad input through the whole line: every kind gets its promised answer, no process dies, no neighbour is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import bad_input
from tests.line import Line
from tests.prove.bad_input import prove

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]


def test_bad_input_harms_nobody(tmp_path: Path) -> None:
    with Line(tmp_path, source=bad_input.SOURCE) as line:
        report = prove(line)
    assert sum(report["kinds"].values()) >= 50
    assert report["broken_promises"] == []
