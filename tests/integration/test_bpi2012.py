"""A real log through `desireline import`: the first cases of the BPI 2012 log, every figure and the digest of a second import.

The whole log, every way in, is `python -m tests.prove.bpi2012`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import bpi2012
from tests.line import Line

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

CASES = 1_500


def test_the_import_of_a_real_log_gives_the_figures_of_a_plain_count(tmp_path: Path) -> None:
    log = bpi2012.find()
    if log is None:
        pytest.skip(bpi2012.ABSENT)
    part = tmp_path / "first-cases.csv"
    part.write_bytes(bpi2012.first_cases(log, CASES))
    wanted = bpi2012.figures_of(part)
    assert wanted["customers"] == CASES

    with Line(tmp_path / "home", source=bpi2012.SOURCE, definitions=bpi2012.DEFINITIONS) as line:
        line.cli("import", str(part), "--map", str(bpi2012.MAP))
        line.settle(120)
        assert bpi2012.figures_in(line) == wanted
        digests = line.digests(bpi2012.AS_OF)
        line.cli("import", str(part), "--map", str(bpi2012.MAP))
        line.settle(120)
        assert line.digests(bpi2012.AS_OF) == digests
        assert line.rows("SELECT count() FROM v_dead_letters") == [(0,)]


def test_a_plain_count_of_the_whole_log_gives_the_known_figures() -> None:
    log = bpi2012.find()
    if log is None:
        pytest.skip(bpi2012.ABSENT)
    assert bpi2012.figures_of(log) == bpi2012.EXPECTED
