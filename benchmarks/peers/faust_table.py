"""The stitching job on Faust as its documentation shows it: an agent, a keyed stream, a Table, one event at a time.

    python -m benchmarks.peers.faust_table BOOTSTRAP TOPIC PARTITIONS GROUP RECORDS

Reads JSON touchpoints keyed by customer, ignores event ids it has seen, and cuts a session at 30 minutes of silence. Prints one
JSON object with the seconds and CPU seconds from the first record to the last, then ends. Start-up is not counted.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from typing import Any

import faust

GAP_MS = 30 * 60_000


class Touchpoint(faust.Record, serializer="json"):  # type: ignore[misc, call-arg]
    customer_id: str
    event_id: str
    occurred_at: int
    channel: str
    name: str


def main() -> None:
    bootstrap, topic_name, partitions, group, most = sys.argv[1:6]
    app = faust.App(
        group,
        broker=f"kafka://{bootstrap}",
        topic_partitions=int(partitions),
        datadir=tempfile.mkdtemp(),
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
    )
    topic = app.topic(topic_name, key_type=str, value_type=Touchpoint)
    journeys = app.Table("journeys", default=dict)
    taken, began, cpu = 0, 0.0, 0.0

    async def stitch(stream: Any) -> None:
        nonlocal taken, began, cpu
        async for touchpoint in stream:
            if not taken:
                began, cpu = time.monotonic(), time.process_time()
            taken += 1
            journey = journeys[touchpoint.customer_id]
            seen = journey.get("seen", [])
            if touchpoint.event_id not in seen:
                if touchpoint.occurred_at - journey.get("last_at", 0) > GAP_MS:
                    seen, journey = [], {"started_at": touchpoint.occurred_at, "path": []}
                journeys[touchpoint.customer_id] = {
                    **journey,
                    "seen": [*seen, touchpoint.event_id],
                    "last_at": touchpoint.occurred_at,
                    "path": [*journey["path"], touchpoint.name],
                }
            if taken == int(most):
                said = {"wall": time.monotonic() - began, "cpu": time.process_time() - cpu}
                print("\n" + json.dumps(said), file=sys.__stdout__, flush=True)  # Faust redirects sys.stdout
                os._exit(0)

    app.agent(topic)(stitch)
    sys.argv = ["faust", "worker", "-l", "error"]
    app.main()


if __name__ == "__main__":
    main()
