"""Quix Streams' keyed count with its changelog: less than the stitching job, and the fastest Python stream processor.

    python benchmarks/peers/quix_count.py BOOTSTRAP TOPIC GROUP RECORDS

Runs in an environment of its own, for its requirements do not go together with ours. Prints one JSON object with the seconds
and CPU seconds (of all its threads) from the first record to the last, then ends. Start-up is not counted.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
from typing import Any

from quixstreams import Application


def main() -> None:
    bootstrap, topic_name, group, most = sys.argv[1:5]
    app = Application(
        broker_address=bootstrap,
        consumer_group=group,
        auto_offset_reset="earliest",
        state_dir=tempfile.mkdtemp(),
        loglevel=logging.ERROR,
    )
    taken, began, cpu = 0, 0.0, 0.0

    def count(_: dict[str, Any], state: Any) -> int:
        nonlocal taken, began, cpu
        if not taken:
            began, cpu = time.monotonic(), time.process_time()
        taken += 1
        counted: int = state.get("count", 0) + 1
        state.set("count", counted)
        if taken == int(most):
            print(json.dumps({"wall": time.monotonic() - began, "cpu": time.process_time() - cpu}), flush=True)
            os._exit(0)
        return counted

    app.dataframe(app.topic(topic_name, key_deserializer="str", value_deserializer="json")).apply(count, stateful=True)
    app.run()


if __name__ == "__main__":
    main()
