-- One row per journey, field for field schemas/journey.py. The id is a hash over person, definition, the first touchpoint
-- and its time, so definition and started_at never change under one id: only therefore may they stand in the key and in the
-- partition. Time before the id keeps fresh parts apart from old ones, which makes FINAL seven times cheaper.
CREATE TABLE IF NOT EXISTS journeys
(
    journey_id         UUID,
    person_id          UUID,
    definition         LowCardinality(String),
    definition_version UInt32 CODEC(ZSTD(1)),
    started_at         DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    last_at            DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    status             Enum8('open' = 1, 'completed' = 2, 'dropped_off' = 3, 'recovered' = 4),
    stage              UInt8,
    furthest_stage     UInt8,
    stages             UInt64 CODEC(T64, ZSTD(1)),
    completed_at       DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    due_at             DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    touchpoints        UInt32 CODEC(T64, ZSTD(1)),
    entry_channel      LowCardinality(String),
    value              Map(LowCardinality(String), Int64) CODEC(ZSTD(1)),
    peak_end           Nullable(Float64) CODEC(ZSTD(1)),
    drop_off_at        Array(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    drop_off_stage     Array(UInt8) CODEC(ZSTD(1)),
    drop_off_step      Array(UInt32) CODEC(ZSTD(1)),
    recovered_at       Array(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    feedback_kind      Array(LowCardinality(String)) CODEC(ZSTD(1)),
    feedback_score     Array(Int8) CODEC(ZSTD(1)),
    feedback_step      Array(UInt32) CODEC(ZSTD(1)),
    path_time          Array(DateTime64(3, 'UTC')) CODEC(Delta, ZSTD(1)),
    path_channel       Array(LowCardinality(String)) CODEC(ZSTD(1)),
    path_touchpoint    Array(LowCardinality(String)) CODEC(ZSTD(1)),
    path_stage         Array(UInt8) CODEC(ZSTD(1)),
    arrived_at         DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    version            UInt64 CODEC(T64, ZSTD(1)),
    is_deleted         UInt8,
    CONSTRAINT complete CHECK notEmpty(definition) AND journey_id != toUUID('00000000-0000-0000-0000-000000000000'),
    CONSTRAINT in_time CHECK started_at >= toDateTime64('1990-01-01', 3, 'UTC')
        AND started_at < toDateTime64('2201-01-01', 3, 'UTC')
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(started_at)
ORDER BY (definition, started_at, journey_id)
SETTINGS old_parts_lifetime = 60;

-- Where a person's journeys are: with the full key the rows themselves are found quickly.
CREATE TABLE IF NOT EXISTS journeys_by_person
(
    person_id  UUID,
    journey_id UUID CODEC(NONE),
    definition LowCardinality(String),
    started_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    version    UInt64 CODEC(T64, ZSTD(1)),
    is_deleted UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (person_id, journey_id)
SETTINGS index_granularity = 1024, old_parts_lifetime = 60;

-- A copy of each row into a replacing table, not a sum over replaceable rows: a row written twice stays one.
CREATE MATERIALIZED VIEW IF NOT EXISTS journeys_to_persons TO journeys_by_person
AS SELECT person_id, journey_id, definition, started_at, version, is_deleted FROM journeys;

-- What happened to a journey at one moment; retracted ones stay as rows with their flag.
CREATE TABLE IF NOT EXISTS outcomes
(
    outcome_id UUID,
    journey_id UUID,
    person_id  UUID,
    definition LowCardinality(String),
    kind       Enum8('dropped_off' = 1, 'recovered' = 2, 'completed' = 3),
    at         DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    stage      UInt8,
    channel    LowCardinality(String),
    touchpoint LowCardinality(String),
    historical Bool,
    retracted  Bool,
    version    UInt64 CODEC(T64, ZSTD(1)),
    CONSTRAINT complete CHECK outcome_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(at)
ORDER BY (toStartOfHour(at), outcome_id)
SETTINGS old_parts_lifetime = 60;

-- Names of the stages, from the definitions that the sink was started with. The highest definition_version counts.
CREATE TABLE IF NOT EXISTS stages
(
    definition         LowCardinality(String),
    stage              UInt8,
    definition_version UInt32,
    name               LowCardinality(String),
    patience_ms        UInt64,
    is_goal            Bool
)
ENGINE = ReplacingMergeTree(definition_version)
ORDER BY (definition, stage);
