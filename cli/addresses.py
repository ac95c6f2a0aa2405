"""Commands find the stack that runs here by themselves: its ports are random, and nobody should have to type them."""

from __future__ import annotations

import os
from importlib.util import find_spec

NAMES_OF_SERVERS = {"KAFKA_BOOTSTRAP", "CLICKHOUSE_URL"}


def use_running_stack() -> None:
    """Take the addresses of the stack that runs in DESIRELINE_HOME, unless the environment names servers itself."""
    if NAMES_OF_SERVERS & os.environ.keys() or find_spec("psutil") is None:
        return
    from deploy.local import instance, state
    from runtime.settings import ProcessSettings

    home = ProcessSettings().home.resolve()
    if instance.is_running(home):
        os.environ.update(state.load(home).environment)
