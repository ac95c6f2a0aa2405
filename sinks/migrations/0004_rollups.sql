-- Answers prepared for the dashboard. A refresh recomputes a bucket whole from `journeys FINAL`; a group that vanished from
-- its bucket is written as zero. `version` is the number of the refresh, which rises.

-- Which hours (of started_at) of which definition were rewritten. The sink writes it after the journeys were acknowledged
-- and before it commits its offsets; a row too many is one refresh too many.
CREATE TABLE IF NOT EXISTS dirty_hours
(
    definition LowCardinality(String),
    hour       DateTime('UTC'),
    written_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC')
)
ENGINE = MergeTree
ORDER BY (written_at, definition, hour)
TTL toDateTime(written_at) + INTERVAL 7 DAY;

-- How far each kind of refresh has come: every dirty hour written before `seen_until` is answered for.
CREATE TABLE IF NOT EXISTS refreshes
(
    rollups    LowCardinality(String),
    seen_until DateTime64(6, 'UTC'),
    version    UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY rollups;

CREATE TABLE IF NOT EXISTS rollup_funnel
(
    hour          DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)),
    definition    LowCardinality(String),
    entry_channel LowCardinality(String),
    stage         UInt8,
    entered       UInt32 CODEC(T64, ZSTD(1)),
    moved_on      UInt32 CODEC(T64, ZSTD(1)),
    dropped_off   UInt32 CODEC(T64, ZSTD(1)),
    still_open    UInt32 CODEC(T64, ZSTD(1)),
    recovered     UInt32 CODEC(T64, ZSTD(1)),
    decided       UInt32 CODEC(T64, ZSTD(1)),
    completed     UInt32 CODEC(T64, ZSTD(1)),
    version       UInt64 CODEC(T64, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(hour)
ORDER BY (definition, hour, entry_channel, stage);

CREATE TABLE IF NOT EXISTS rollup_transitions
(
    day             Date,
    definition      LowCardinality(String),
    entry_channel   LowCardinality(String),
    touchpoint      LowCardinality(String),
    next_touchpoint LowCardinality(String),
    transitions     UInt32 CODEC(T64, ZSTD(1)),
    version         UInt64 CODEC(T64, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(day)
ORDER BY (definition, day, entry_channel, touchpoint, next_touchpoint);

CREATE TABLE IF NOT EXISTS rollup_steps
(
    day           Date,
    definition    LowCardinality(String),
    entry_channel LowCardinality(String),
    step          UInt8,
    channel       LowCardinality(String),
    next_channel  LowCardinality(String),
    journeys      UInt32 CODEC(T64, ZSTD(1)),
    version       UInt64 CODEC(T64, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(day)
ORDER BY (definition, day, entry_channel, step, channel, next_channel);

CREATE TABLE IF NOT EXISTS rollup_touchpoints
(
    day            Date,
    definition     LowCardinality(String),
    entry_channel  LowCardinality(String),
    channel        LowCardinality(String),
    touchpoint     LowCardinality(String),
    touchpoints    UInt32 CODEC(T64, ZSTD(1)),
    journeys       UInt32 CODEC(T64, ZSTD(1)),
    dropped_after  UInt32 CODEC(T64, ZSTD(1)),
    repeats        UInt32 CODEC(T64, ZSTD(1)),
    escalations    UInt32 CODEC(T64, ZSTD(1)),
    wait_ms        UInt64 CODEC(T64, ZSTD(1)),
    nps_promoters  UInt32 CODEC(T64, ZSTD(1)),
    nps_detractors UInt32 CODEC(T64, ZSTD(1)),
    nps_answers    UInt32 CODEC(T64, ZSTD(1)),
    csat_satisfied UInt32 CODEC(T64, ZSTD(1)),
    csat_answers   UInt32 CODEC(T64, ZSTD(1)),
    ces_easy       UInt32 CODEC(T64, ZSTD(1)),
    ces_sum        UInt32 CODEC(T64, ZSTD(1)),
    ces_answers    UInt32 CODEC(T64, ZSTD(1)),
    stars_sum      UInt32 CODEC(T64, ZSTD(1)),
    stars_answers  UInt32 CODEC(T64, ZSTD(1)),
    version        UInt64 CODEC(T64, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(day)
ORDER BY (definition, day, entry_channel, channel, touchpoint);

CREATE TABLE IF NOT EXISTS rollup_channel_paths
(
    day           Date,
    definition    LowCardinality(String),
    entry_channel LowCardinality(String),
    channel_path  Array(LowCardinality(String)),
    journeys      UInt32 CODEC(T64, ZSTD(1)),
    completed     UInt32 CODEC(T64, ZSTD(1)),
    version       UInt64 CODEC(T64, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(day)
ORDER BY (definition, day, entry_channel, channel_path);
