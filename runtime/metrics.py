"""Every metric of every process: name, type, labels, meaning. The one list; nobody defines metrics elsewhere.

Counters and histograms start at 0 when the process starts. `leg` is the consumer group, `partition` a partition number.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

# -- runtime/chunked: the transactional state store under every leg --------------------------------------------------

LEG_RECORDS = Counter("desireline_leg_records_total", "Records taken from a source.", ["leg", "topic"])
LEG_OUTPUTS = Counter("desireline_leg_outputs_total", "Records written to other topics, committed.", ["leg"])
LEG_TRANSACTIONS = Counter("desireline_leg_transactions_total", "Transactions committed.", ["leg"])
LEG_COMMIT_SECONDS = Histogram(
    "desireline_leg_commit_seconds",
    "Duration of one transaction, from collecting to committed.",
    ["leg"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
LEG_RESTORE_SECONDS = Gauge("desireline_leg_restore_seconds", "Duration of the last restore.", ["leg", "partition"])
LEG_RESTORED_RECORDS = Counter("desireline_leg_restored_records_total", "Changelog records read.", ["leg"])
LEG_LAG = Gauge(
    "desireline_leg_lag_records",
    "Offsets between what a partition has taken and the end of the log as last seen; 0 when it has taken everything.",
    ["leg", "topic", "partition"],
)
LEG_SEEKS = Counter(
    "desireline_leg_seeks_total", "Times a chunk was not the next one and its partition was sought again.", ["leg"]
)
LEG_OPEN_PARTITIONS = Gauge("desireline_leg_open_partitions", "Partitions this process owns and reads.", ["leg"])

# -- ingest: the collector -------------------------------------------------------------------------------------------

COLLECTOR_TOUCHPOINTS = Counter(
    "desireline_collector_touchpoints_total",
    "Touchpoints by what became of them: accepted (acknowledged by the broker), or the reason of the rejection.",
    ["source", "answer"],
)
COLLECTOR_REQUESTS = Counter("desireline_collector_requests_total", "Requests for touchpoints answered.", ["status"])
COLLECTOR_SECONDS = Histogram(
    "desireline_collector_seconds",
    "From the first byte of a request for touchpoints to its answer.",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20),
)
COLLECTOR_BYTES = Gauge("desireline_collector_bytes_in_flight", "Bodies being read and records not acknowledged yet.")
COLLECTOR_BROKER = Gauge("desireline_collector_broker_reachable", "1 while the broker answers and has the topics.")


# -- sinks: Kafka topics → ClickHouse ---------------------------------------------------------------------------------

SINK_ROWS = Counter("desireline_sink_rows_total", "Rows that ClickHouse acknowledged.", ["table"])
SINK_BATCH_SECONDS = Histogram(
    "desireline_sink_batch_seconds",
    "Duration of one batch into its table, retries included.",
    ["table"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)
SINK_INSERT_ERRORS = Counter(
    "desireline_sink_insert_errors_total",
    "Inserts that failed through no fault of the rows, and are repeated.",
    ["table"],
)
SINK_DEAD_LETTERS = Counter(
    "desireline_sink_dead_letters_total", "Rows that ClickHouse refuses, given to dead letters."
)
SINK_LAG = Gauge(
    "desireline_sink_lag_records",
    "Offsets between what is committed and the end of the log; of the partitions that this process owns.",
    ["topic", "partition"],
)
SINK_OUTCOMES = Counter(
    "desireline_sink_outcomes_total",
    "Outcomes written: dropped_off, recovered, completed, or retracted, whatever it was. Without what was history on arrival; "
    "of the live generation.",
    ["definition", "kind"],
)
SINK_LATENCY_SECONDS = Histogram(
    "desireline_sink_latency_seconds",
    "From a touchpoint's arrival in Kafka to its row (touchpoints) or its journey's row (journeys) in ClickHouse; "
    "of each batch the one that waited longest.",
    ["rows"],
    buckets=(0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30, 60, 600, 3600),
)
SINK_PAIN_SECONDS = Histogram(
    "desireline_sink_pain_seconds",
    "Duration of one computation of the pain points.",
    buckets=(0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
SINK_REFRESH_SECONDS = Histogram(
    "desireline_sink_refresh_seconds",
    "Duration of one refresh of the rollups that had something to do.",
    ["pass"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)

# -- disks of the servers, as the sink that reads partition 0 of the touchpoints sees them ----------------------------

DISK_FREE = Gauge("desireline_disk_free_bytes", "Bytes left on a disk of Kafka or ClickHouse.", ["server", "disk"])
DISK_TOTAL = Gauge("desireline_disk_total_bytes", "Size of a disk of Kafka or ClickHouse.", ["server", "disk"])

# -- alerts: counts per minute in ClickHouse → alerts → webhooks -------------------------------------------------------

ALERTS_CHANGES = Counter("desireline_alerts_changes_total", "Alerts opened, widened, resolved.", ["change"])
ALERTS_OPEN = Gauge("desireline_alerts_open", "Alerts that are open.")
ALERTS_WATCHED = Gauge("desireline_alerts_watched", "Measures of series that have enough history to raise alerts.")
ALERTS_BEHIND_SECONDS = Gauge("desireline_alerts_behind_seconds", "From the end of the last minute judged to now.")
ALERTS_WEBHOOKS = Counter(
    "desireline_alerts_webhooks_total", "Webhook requests by how they ended: delivered, retried, dead_letter.", ["end"]
)

# -- dashboard: the read API -------------------------------------------------------------------------------------------

LOOKUP_REQUESTS = Counter("desireline_lookup_requests_total", "Lookups answered.", ["reader", "status"])
LOOKUP_SECONDS = Histogram(
    "desireline_lookup_seconds",
    "From the first byte of a lookup to its answer, whatever it was.",
    buckets=(0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
LOOKUP_READY = Gauge(
    "desireline_lookup_ready", "1 while ClickHouse answers and its journeys are those of the configured definitions."
)
