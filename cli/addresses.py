"""Commands find the stack that runs here by themselves: its ports are random, and nobody should have to type them."""

from __future__ import annotations

import os
from importlib.util import find_spec

SERVERS = ("KAFKA_BOOTSTRAP", "CLICKHOUSE_URL")
OWN = (
    "DESIRELINE_SECRET",
    "DESIRELINE_DEFINITIONS",
    "DESIRELINE_IDENTITY",
    "DESIRELINE_WRITE_KEYS",
)  # given: they stand


def use_running_stack() -> None:
    """Take addresses and settings of the stack that runs in DESIRELINE_HOME, else of the demo there, unless the environment
    names other servers."""
    if find_spec("psutil") is None:
        return
    from deploy.local import instance, state
    from runtime.settings import ProcessSettings

    home = ProcessSettings().home.resolve()
    if not instance.is_running(home):
        home = instance.demo(home)
        if not instance.is_running(home):
            return
    stack = state.load(home).environment
    if all(os.environ[name] == stack.get(name) for name in SERVERS if name in os.environ):
        os.environ.update(stack | {name: os.environ[name] for name in OWN if name in os.environ})
