"""The rules for Prometheus: promtool takes them and its tests hold; they name what there is; each says what to do."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import prometheus_client
import pytest
import yaml

from runtime import metrics
from tests.promtool import NoPromtool, promtool

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/prometheus"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((FOLDER / "rules.yaml").read_text())["groups"] for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDS = {rule["record"] for rule in RULES if "record" in rule}
TESTS = sorted(FOLDER.glob("*_test.yaml"))


@pytest.fixture(scope="module")
def tool() -> Path:
    try:
        return promtool()
    except NoPromtool as error:
        pytest.fail(str(error), pytrace=False)


def run(*command: str | Path) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_takes_the_rules(tool: Path) -> None:
    assert f"{len(RULES)} rules found" in run(tool, "check", "rules", FOLDER / "rules.yaml")
    run(tool, "check", "config", "--syntax-only", FOLDER / "prometheus.yaml")


def test_the_rules_fire_when_they_should_and_only_then(tool: Path) -> None:
    assert run(tool, "test", "rules", *TESTS).count("SUCCESS") == len(TESTS)


def test_every_alert_is_seen_to_fire() -> None:
    text = "".join(file.read_text() for file in TESTS)
    assert {name for name in ALERTS if f'alertname="{name}"' not in text} == set()


METRICS = [one for one in vars(metrics).values() if isinstance(one, prometheus_client.metrics.MetricWrapperBase)]


def families() -> set[str]:
    return {metric._name for metric in METRICS}


def exposed() -> set[str]:
    """What scrapes of our processes can hold."""
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
    return {metric._name + suffix for metric in METRICS for suffix in suffixes.get(str(metric._type), [""])}


def labels() -> set[str]:
    """Theirs, and those that Prometheus adds."""
    return {"le", "job", "instance"} | {label for metric in METRICS for label in metric._labelnames}


def test_every_metric_and_label_that_is_asked_for_exists() -> None:
    for rule in RULES:
        asked = str(rule["expr"])
        assert set(re.findall(r"\bdesireline_\w+", asked)) <= exposed(), asked
        assert set(re.findall(r"\bdesireline:[\w:]+", asked)) <= RECORDS, asked
        for matchers in re.findall(r"\{(.*?)\}", asked):
            assert set(re.findall(r"(\w+)\s*(?:=|!=|=~|!~)", matchers)) <= labels(), asked


def test_every_metric_that_is_spoken_of_or_played_exists() -> None:
    said = "".join(str(rule.get("annotations")) for rule in RULES)
    assert set(re.findall(r"\bdesireline_\w+", said)) <= exposed() | families()
    for file in TESTS:
        assert set(re.findall(r"\bdesireline_\w+", file.read_text())) <= exposed(), file.name


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_what_it_means_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(rule["annotations"]) == {"summary", "description", "action"}
    assert all(len(text) > 10 for text in rule["annotations"].values())
    assert f"`{name}`" in (ROOT / "docs/operations.md").read_text()
    for variable in re.findall(r"DESIRELINE_\w+", str(rule["annotations"])):
        assert f"`{variable}`" in (ROOT / "docs/reference.md").read_text(), variable
