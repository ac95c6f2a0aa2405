CREATE TABLE alerts
(
    `alert_id` UUID,
    `change` Enum8('opened' = 1, 'widened' = 2, 'resolved' = 3),
    `journey` LowCardinality(String),
    `stage` UInt8,
    `channel` LowCardinality(String),
    `measure` Enum8('progress' = 1, 'drop_off' = 2),
    `since` DateTime64(3, 'UTC'),
    `opened_at` DateTime64(3, 'UTC'),
    `resolved_at` DateTime64(3, 'UTC'),
    `settled` Bool,
    `stays` UInt64,
    `expected` Float64,
    `observed` Float64,
    `lost` Float64,
    `also` Array(String),
    `link` String,
    `version` UInt64,
    CONSTRAINT complete CHECK notEmpty(journey) AND (alert_id != toUUID('00000000-0000-0000-0000-000000000000'))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (opened_at, alert_id)
SETTINGS old_parts_lifetime = 60, index_granularity = 8192;

CREATE TABLE dead_letters
(
    `at` DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    `source` LowCardinality(String),
    `leg` LowCardinality(String),
    `reason` LowCardinality(String),
    `path` LowCardinality(String),
    `message` String CODEC(ZSTD(1)),
    `address` String CODEC(ZSTD(1)),
    `record` String CODEC(ZSTD(3)),
    `bytes` UInt64 CODEC(T64, ZSTD(1)),
    `sha256` String CODEC(ZSTD(1)),
    `position` String CODEC(ZSTD(1)),
    CONSTRAINT complete CHECK notEmpty(reason) AND notEmpty(leg)
)
ENGINE = ReplacingMergeTree
ORDER BY position
SETTINGS old_parts_lifetime = 60, index_granularity = 8192, cleanup_delay_period = 10, max_cleanup_delay_period = 10;

CREATE TABLE dirty_hours
(
    `definition` LowCardinality(String),
    `hour` DateTime('UTC'),
    `generation` UInt16 DEFAULT 1,
    `written_at` DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC')
)
ENGINE = MergeTree
ORDER BY (written_at, definition, hour)
TTL toDateTime(written_at) + toIntervalDay(7)
SETTINGS index_granularity = 8192;

CREATE TABLE erased
(
    `id` UUID,
    `source` LowCardinality(String),
    `arrived` DateTime64(3, 'UTC'),
    `stream` FixedString(16),
    `sequence` Nullable(Int32),
    `uncounted` Bool
)
ENGINE = ReplacingMergeTree
ORDER BY id
SETTINGS index_granularity = 8192;

CREATE TABLE erased_key
(
    `key_0` UInt64,
    `key_1` UInt64
)
ENGINE = MergeTree
ORDER BY key_0
SETTINGS index_granularity = 8192;

CREATE TABLE erasing
(
    `erasure_id` String,
    `what` LowCardinality(String),
    `person_id` UUID,
    `id` UUID,
    `version` UInt128,
    `position` String
)
ENGINE = MergeTree
PARTITION BY erasure_id
ORDER BY (what, id, version, position)
SETTINGS old_parts_lifetime = 60, cleanup_delay_period = 10, max_cleanup_delay_period = 10, index_granularity = 8192;

CREATE TABLE erasures
(
    `erasure_id` String,
    `person_id` UUID,
    `at` DateTime64(3, 'UTC'),
    `because` LowCardinality(String),
    `ordered_by` LowCardinality(String),
    `removed` Map(LowCardinality(String), UInt64),
    `finished_at` Nullable(DateTime64(3, 'UTC')),
    `logs_until` DateTime64(3, 'UTC'),
    `compacted_until` DateTime64(3, 'UTC'),
    `version` UInt64,
    CONSTRAINT complete CHECK notEmpty(erasure_id)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (erasure_id, person_id)
SETTINGS index_granularity = 8192;

CREATE TABLE follow_ups
(
    `event_id` UUID,
    `number` UInt32,
    `state` Enum8('open' = 1, 'taken' = 2, 'done' = 3),
    `by` LowCardinality(String),
    `at` DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'),
    `earlier` UInt64 DEFAULT 18446744073709551615 - toUnixTimestamp64Micro(at),
    CONSTRAINT complete CHECK (event_id != toUUID('00000000-0000-0000-0000-000000000000')) AND (number > 0)
)
ENGINE = ReplacingMergeTree(earlier)
ORDER BY (event_id, number)
SETTINGS old_parts_lifetime = 60, cleanup_delay_period = 10, max_cleanup_delay_period = 10, index_granularity = 8192;

CREATE TABLE generations
(
    `generation` UInt16,
    `live_since` DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    `version` UInt64,
    CONSTRAINT complete CHECK generation > 0
)
ENGINE = MergeTree
ORDER BY version
SETTINGS index_granularity = 8192;

CREATE TABLE identities
(
    `identifier` String CODEC(ZSTD(1)),
    `person_id` UUID,
    `own_id` UUID,
    `at` DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    `shared` Bool,
    `source` LowCardinality(String),
    `version` UInt128 CODEC(ZSTD(1)),
    `generation` UInt16 DEFAULT 1,
    CONSTRAINT complete CHECK notEmpty(identifier) AND (person_id != toUUID('00000000-0000-0000-0000-000000000000'))
)
ENGINE = ReplacingMergeTree(version)
PRIMARY KEY identifier
ORDER BY (identifier, generation)
SETTINGS index_granularity = 1024, old_parts_lifetime = 60, cleanup_delay_period = 10, max_cleanup_delay_period = 10;

CREATE VIEW journey_stages
(
    `generation` UInt16 COMMENT 'Which rebuilding of people and journeys it belongs to',
    `journey_id` UUID COMMENT 'The journey',
    `definition` LowCardinality(String) COMMENT 'Journey of journeys.yaml',
    `started_at` DateTime64(3, 'UTC') COMMENT 'Start of the journey',
    `entry_channel` LowCardinality(String) COMMENT 'Channel of its first touchpoint',
    `stage` UInt8 COMMENT 'A stage that it entered',
    `dropped_off` UInt8 COMMENT 'Fell silent at this stage and has not come back',
    `recovered` UInt8 COMMENT 'Fell silent at this stage and came back',
    `moved_on` UInt8 COMMENT 'Not dropped_off; left it for another stage or reached the goal',
    `completed` UInt8 COMMENT 'The journey reached its goal'
)
COMMENT 'One row per journey and stage that it entered, of every generation. Exact now.'
AS SELECT
    generation,
    journey_id,
    definition,
    started_at,
    entry_channel,
    stage,
    silent AND (stage = silent_stage) AS dropped_off,
    arrayExists((at_stage, back) -> ((at_stage = stage) AND (back > toDateTime64(0, 3, 'UTC'))), drop_off_stage, recovered_at) AS recovered,
    (NOT dropped_off) AND (completed OR has(left_stages, stage)) AS moved_on,
    completed
FROM
(
    SELECT
        generation,
        journey_id,
        definition,
        started_at,
        entry_channel,
        drop_off_stage,
        recovered_at,
        status = 'completed' AS completed,
        (status IN ('open', 'recovered')) AND (due_at > toDateTime64(0, 3, 'UTC')) AND (due_at < now64(3, 'UTC')) AS overdue,
        (status = 'dropped_off') OR overdue AS silent,
        if(overdue, journeys.stage, arrayElement(drop_off_stage, -1)) AS silent_stage,
        arrayPopBack(arrayCompact(arrayFilter(rank -> (rank > 0), path_stage))) AS left_stages,
        arrayFilter(bit -> (bit > 0), bitPositionsToArray(stages)) AS entered_stages
    FROM journeys
    FINAL
)
ARRAY JOIN arrayMap(bit -> toUInt8(bit), entered_stages) AS stage;

CREATE TABLE journeys
(
    `journey_id` UUID,
    `person_id` UUID,
    `definition` LowCardinality(String),
    `definition_version` UInt32 CODEC(ZSTD(1)),
    `started_at` DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    `last_at` DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    `status` Enum8('open' = 1, 'completed' = 2, 'dropped_off' = 3, 'recovered' = 4),
    `stage` UInt8,
    `furthest_stage` UInt8,
    `stages` UInt64 CODEC(T64, ZSTD(1)),
    `completed_at` DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    `due_at` DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    `touchpoints` UInt32 CODEC(T64, ZSTD(1)),
    `entry_channel` LowCardinality(String),
    `value` Map(LowCardinality(String), Int64) CODEC(ZSTD(1)),
    `peak_end` Nullable(Float64) CODEC(ZSTD(1)),
    `drop_off_at` Array(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    `drop_off_stage` Array(UInt8) CODEC(ZSTD(1)),
    `drop_off_step` Array(UInt32) CODEC(ZSTD(1)),
    `recovered_at` Array(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    `feedback_kind` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `feedback_score` Array(Int8) CODEC(ZSTD(1)),
    `feedback_step` Array(UInt32) CODEC(ZSTD(1)),
    `path_time` Array(DateTime64(3, 'UTC')) CODEC(Delta(8), ZSTD(1)),
    `path_channel` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `path_touchpoint` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `path_stage` Array(UInt8) CODEC(ZSTD(1)),
    `arrived_at` DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    `version` UInt64 CODEC(T64, ZSTD(1)),
    `is_deleted` UInt8,
    `generation` UInt16 DEFAULT 1,
    CONSTRAINT complete CHECK notEmpty(definition) AND (journey_id != toUUID('00000000-0000-0000-0000-000000000000')),
    CONSTRAINT in_time CHECK (started_at >= toDateTime64('1990-01-01', 3, 'UTC')) AND (started_at < toDateTime64('2201-01-01', 3, 'UTC'))
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(started_at)
PRIMARY KEY (definition, started_at, journey_id)
ORDER BY (definition, started_at, journey_id, generation)
SETTINGS old_parts_lifetime = 60, index_granularity = 8192, cleanup_delay_period = 10, max_cleanup_delay_period = 10;

CREATE TABLE journeys_by_person
(
    `person_id` UUID,
    `journey_id` UUID CODEC(NONE),
    `definition` LowCardinality(String),
    `started_at` DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    `version` UInt64 CODEC(T64, ZSTD(1)),
    `is_deleted` UInt8,
    `generation` UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PRIMARY KEY (person_id, journey_id)
ORDER BY (person_id, journey_id, generation)
SETTINGS index_granularity = 1024, old_parts_lifetime = 60, cleanup_delay_period = 10, max_cleanup_delay_period = 10;

CREATE MATERIALIZED VIEW journeys_to_persons TO journeys_by_person
(
    `person_id` UUID,
    `journey_id` UUID,
    `definition` LowCardinality(String),
    `started_at` DateTime64(3, 'UTC'),
    `version` UInt64,
    `is_deleted` UInt8,
    `generation` UInt16
)
AS SELECT
    person_id,
    journey_id,
    definition,
    started_at,
    version,
    is_deleted,
    generation
FROM journeys;

CREATE TABLE late
(
    `person_id` UUID CODEC(ZSTD(1)),
    `event_id` UUID CODEC(NONE),
    `occurred_at` DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    `closed_at` DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    `arrived_at` DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    `cause` LowCardinality(String),
    `version` UInt64 CODEC(T64, ZSTD(1)),
    `generation` UInt16 DEFAULT 1,
    CONSTRAINT complete CHECK event_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = ReplacingMergeTree(version)
PRIMARY KEY (person_id, event_id)
ORDER BY (person_id, event_id, generation)
SETTINGS old_parts_lifetime = 60, cleanup_delay_period = 10, max_cleanup_delay_period = 10, index_granularity = 8192;

CREATE TABLE ledger
(
    `leg` LowCardinality(String),
    `generation` UInt32,
    `partition` UInt32,
    `source` LowCardinality(String),
    `hour` DateTime('UTC'),
    `decision` LowCardinality(String),
    `touchpoints` Int64 CODEC(ZSTD(1)),
    `version` UInt64 CODEC(T64, ZSTD(1)),
    CONSTRAINT complete CHECK notEmpty(leg) AND notEmpty(decision) AND (hour >= toDateTime('1990-01-01 00:00:00', 'UTC'))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (leg, generation, partition, source, hour, decision)
SETTINGS index_granularity = 8192;

CREATE VIEW live_generation
(
    `generation` UInt16 COMMENT 'The generation that every view shows; `desireline replay swap` changes it'
)
COMMENT 'One row: which rebuilding of people and journeys is the live one. Exact now.'
AS SELECT if(count() = 0, toUInt16(1), argMax(generations.generation, version)) AS generation
FROM generations;

CREATE TABLE migrations
(
    `number` UInt32,
    `name` String,
    `sha256` String,
    `applied_at` DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY number
SETTINGS index_granularity = 8192;

CREATE TABLE outcomes
(
    `outcome_id` UUID,
    `journey_id` UUID,
    `person_id` UUID,
    `definition` LowCardinality(String),
    `kind` Enum8('dropped_off' = 1, 'recovered' = 2, 'completed' = 3),
    `at` DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    `stage` UInt8,
    `channel` LowCardinality(String),
    `touchpoint` LowCardinality(String),
    `historical` Bool,
    `retracted` Bool,
    `version` UInt64 CODEC(T64, ZSTD(1)),
    `generation` UInt16 DEFAULT 1,
    CONSTRAINT complete CHECK outcome_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(at)
PRIMARY KEY (toStartOfHour(at), outcome_id)
ORDER BY (toStartOfHour(at), outcome_id, generation)
SETTINGS old_parts_lifetime = 60, index_granularity = 8192, cleanup_delay_period = 10, max_cleanup_delay_period = 10;

CREATE TABLE pain_points
(
    `definition` LowCardinality(String),
    `channel` LowCardinality(String),
    `touchpoint` LowCardinality(String),
    `stage` UInt8,
    `place` UInt32,
    `hurts` Bool,
    `severity` Float64,
    `journeys` UInt64,
    `pain` Float64,
    `lost` Float64,
    `cost` Map(LowCardinality(String), Int64),
    `drop_off` Nullable(Float64),
    `drop_off_comparable` Nullable(Float64),
    `drop_off_low` Nullable(Float64),
    `drop_off_high` Nullable(Float64),
    `passes` UInt64,
    `low_feedback` Nullable(Float64),
    `low_feedback_comparable` Nullable(Float64),
    `low_feedback_low` Nullable(Float64),
    `low_feedback_high` Nullable(Float64),
    `answers` UInt64,
    `repeats` Nullable(Float64),
    `repeats_comparable` Nullable(Float64),
    `waits` Nullable(Float64),
    `waits_comparable` Nullable(Float64),
    `escalations` Nullable(Float64),
    `escalations_comparable` Nullable(Float64),
    `since` DateTime64(3, 'UTC'),
    `computed_at` DateTime64(3, 'UTC'),
    `generation` UInt16,
    CONSTRAINT complete CHECK notEmpty(definition) AND (generation > 0)
)
ENGINE = ReplacingMergeTree(computed_at)
ORDER BY (generation, definition, channel, touchpoint)
SETTINGS index_granularity = 8192;

CREATE TABLE person_touchpoints
(
    `person_id` UUID CODEC(ZSTD(1)),
    `event_id` UUID CODEC(NONE),
    `occurred_at` DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    `sequence` Int32 CODEC(ZSTD(1)),
    `channel` LowCardinality(String),
    `name` LowCardinality(String),
    `rules` Array(UInt8) CODEC(ZSTD(1)),
    `amount` Int64 CODEC(ZSTD(1)),
    `currency` LowCardinality(String),
    `feedback` LowCardinality(String),
    `score` Int8 CODEC(ZSTD(1)),
    `sentiment` LowCardinality(String),
    `arrived_at` DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    `cause` LowCardinality(String),
    `version` UInt64 CODEC(T64, ZSTD(1)),
    `is_deleted` UInt8,
    `generation` UInt16 DEFAULT 1,
    CONSTRAINT complete CHECK (person_id != toUUID('00000000-0000-0000-0000-000000000000')) AND (event_id != toUUID('00000000-0000-0000-0000-000000000000')),
    CONSTRAINT in_time CHECK is_deleted OR ((occurred_at >= toDateTime64('1990-01-01', 3, 'UTC')) AND (occurred_at < toDateTime64('2201-01-01', 3, 'UTC')))
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PRIMARY KEY (person_id, event_id)
ORDER BY (person_id, event_id, generation)
SETTINGS index_granularity = 1024, old_parts_lifetime = 60, cleanup_delay_period = 10, max_cleanup_delay_period = 10;

CREATE TABLE refreshes
(
    `rollups` LowCardinality(String),
    `seen_until` DateTime64(6, 'UTC'),
    `version` UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY rollups
SETTINGS index_granularity = 8192;

CREATE TABLE rollup_channel_paths
(
    `day` Date,
    `definition` LowCardinality(String),
    `entry_channel` LowCardinality(String),
    `channel_path` Array(LowCardinality(String)),
    `journeys` UInt32 CODEC(T64, ZSTD(1)),
    `completed` UInt32 CODEC(T64, ZSTD(1)),
    `version` UInt64 CODEC(T64, ZSTD(1)),
    `generation` UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(day)
PRIMARY KEY (definition, day, entry_channel, channel_path)
ORDER BY (definition, day, entry_channel, channel_path, generation)
SETTINGS index_granularity = 8192;

CREATE TABLE rollup_funnel
(
    `hour` DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)),
    `definition` LowCardinality(String),
    `entry_channel` LowCardinality(String),
    `stage` UInt8,
    `entered` UInt32 CODEC(T64, ZSTD(1)),
    `moved_on` UInt32 CODEC(T64, ZSTD(1)),
    `dropped_off` UInt32 CODEC(T64, ZSTD(1)),
    `still_open` UInt32 CODEC(T64, ZSTD(1)),
    `recovered` UInt32 CODEC(T64, ZSTD(1)),
    `decided` UInt32 CODEC(T64, ZSTD(1)),
    `completed` UInt32 CODEC(T64, ZSTD(1)),
    `version` UInt64 CODEC(T64, ZSTD(1)),
    `generation` UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(hour)
PRIMARY KEY (definition, hour, entry_channel, stage)
ORDER BY (definition, hour, entry_channel, stage, generation)
SETTINGS index_granularity = 8192;

CREATE TABLE rollup_steps
(
    `day` Date,
    `definition` LowCardinality(String),
    `entry_channel` LowCardinality(String),
    `step` UInt8,
    `channel` LowCardinality(String),
    `next_channel` LowCardinality(String),
    `journeys` UInt32 CODEC(T64, ZSTD(1)),
    `version` UInt64 CODEC(T64, ZSTD(1)),
    `generation` UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(day)
PRIMARY KEY (definition, day, entry_channel, step, channel, next_channel)
ORDER BY (definition, day, entry_channel, step, channel, next_channel, generation)
SETTINGS index_granularity = 8192;

CREATE TABLE rollup_touchpoints
(
    `day` Date,
    `definition` LowCardinality(String),
    `entry_channel` LowCardinality(String),
    `channel` LowCardinality(String),
    `touchpoint` LowCardinality(String),
    `touchpoints` UInt32 CODEC(T64, ZSTD(1)),
    `journeys` UInt32 CODEC(T64, ZSTD(1)),
    `dropped_after` UInt32 CODEC(T64, ZSTD(1)),
    `repeats` UInt32 CODEC(T64, ZSTD(1)),
    `escalations` UInt32 CODEC(T64, ZSTD(1)),
    `wait_ms` UInt64 CODEC(T64, ZSTD(1)),
    `nps_promoters` UInt32 CODEC(T64, ZSTD(1)),
    `nps_detractors` UInt32 CODEC(T64, ZSTD(1)),
    `nps_answers` UInt32 CODEC(T64, ZSTD(1)),
    `csat_satisfied` UInt32 CODEC(T64, ZSTD(1)),
    `csat_answers` UInt32 CODEC(T64, ZSTD(1)),
    `ces_easy` UInt32 CODEC(T64, ZSTD(1)),
    `ces_sum` UInt32 CODEC(T64, ZSTD(1)),
    `ces_answers` UInt32 CODEC(T64, ZSTD(1)),
    `stars_sum` UInt32 CODEC(T64, ZSTD(1)),
    `stars_answers` UInt32 CODEC(T64, ZSTD(1)),
    `version` UInt64 CODEC(T64, ZSTD(1)),
    `generation` UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(day)
PRIMARY KEY (definition, day, entry_channel, channel, touchpoint)
ORDER BY (definition, day, entry_channel, channel, touchpoint, generation)
SETTINGS index_granularity = 8192;

CREATE TABLE rollup_transitions
(
    `day` Date,
    `definition` LowCardinality(String),
    `entry_channel` LowCardinality(String),
    `touchpoint` LowCardinality(String),
    `next_touchpoint` LowCardinality(String),
    `transitions` UInt32 CODEC(T64, ZSTD(1)),
    `version` UInt64 CODEC(T64, ZSTD(1)),
    `generation` UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(day)
PRIMARY KEY (definition, day, entry_channel, touchpoint, next_touchpoint)
ORDER BY (definition, day, entry_channel, touchpoint, next_touchpoint, generation)
SETTINGS index_granularity = 8192;

CREATE TABLE stages
(
    `definition` LowCardinality(String),
    `stage` UInt8,
    `definition_version` UInt32,
    `name` LowCardinality(String),
    `patience_ms` UInt64,
    `is_goal` Bool,
    `generation` UInt16 DEFAULT 1,
    `content` LowCardinality(String)
)
ENGINE = ReplacingMergeTree(definition_version)
PRIMARY KEY (definition, stage)
ORDER BY (definition, stage, generation)
SETTINGS index_granularity = 8192;

CREATE TABLE touchpoints
(
    `event_id` UUID CODEC(NONE),
    `source` LowCardinality(String),
    `source_event_id` String CODEC(ZSTD(1)),
    `address` String CODEC(ZSTD(1)),
    `identifiers` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `channel` LowCardinality(String),
    `name` LowCardinality(String),
    `occurred_at` DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    `received_at` DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    `sent_at` Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    `clock` LowCardinality(String),
    `stream` String CODEC(ZSTD(1)),
    `sequence` Nullable(Int32) CODEC(ZSTD(1)),
    `revision` UInt32 CODEC(ZSTD(1)),
    `content` FixedString(16) CODEC(NONE),
    `page` String CODEC(ZSTD(1)),
    `referrer` String CODEC(ZSTD(1)),
    `campaign` LowCardinality(String),
    `store` LowCardinality(String),
    `agent` LowCardinality(String),
    `queue` LowCardinality(String),
    `device` LowCardinality(String),
    `locale` LowCardinality(String),
    `amount` Int64 CODEC(ZSTD(1)),
    `currency` LowCardinality(String),
    `feedback` LowCardinality(String),
    `score` Nullable(Int8) CODEC(ZSTD(1)),
    `sentiment` LowCardinality(String),
    `feedback_text` String CODEC(ZSTD(1)),
    `feedback_about` String CODEC(ZSTD(1)),
    `consent_analytics` Nullable(Bool) CODEC(ZSTD(1)),
    `consent_marketing` Nullable(Bool) CODEC(ZSTD(1)),
    `properties` String CODEC(ZSTD(1)),
    `version` UInt128 CODEC(ZSTD(1)),
    `is_deleted` UInt8,
    CONSTRAINT complete CHECK notEmpty(name) AND notEmpty(channel) AND (event_id != toUUID('00000000-0000-0000-0000-000000000000')),
    CONSTRAINT occurred_in_time CHECK (occurred_at >= toDateTime64('1990-01-01', 3, 'UTC')) AND (occurred_at < toDateTime64('2201-01-01', 3, 'UTC')),
    CONSTRAINT received_in_time CHECK (received_at >= toDateTime64('1990-01-01', 3, 'UTC')) AND (received_at < toDateTime64('2201-01-01', 3, 'UTC'))
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY event_id
SETTINGS old_parts_lifetime = 60, index_granularity = 8192, cleanup_delay_period = 10, max_cleanup_delay_period = 10;

CREATE VIEW v_alerts
(
    `alert_id` UUID COMMENT 'The alert',
    `status` LowCardinality(String) COMMENT 'open or resolved',
    `journey` LowCardinality(String) COMMENT 'Journey of journeys.yaml',
    `stage` UInt8 COMMENT 'Rank of the stage at which customers are stuck; its name is in v_stages',
    `channel` LowCardinality(String) COMMENT 'Channel in which they are',
    `measure` LowCardinality(String) COMMENT 'progress: they do not move on in the usual time; drop_off: they fell silent',
    `since` DateTime64(3, 'UTC') COMMENT 'When the loss began: the customers counted entered, or were last heard of, from then on',
    `opened_at` DateTime64(3, 'UTC') COMMENT 'When the alert was raised',
    `resolved_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was over; NULL: it is not',
    `settled` Bool COMMENT 'Resolved because it lasted so long that it has become the usual',
    `stays` UInt64 COMMENT 'How often customers were at the stage there since the loss began',
    `expected` Float64 COMMENT 'Share that usually moves on in the usual time, or drops off, at this hour of the week',
    `observed` Float64 COMMENT 'The same share since the loss began',
    `lost` Float64 COMMENT 'Customers that went on fewer than usual',
    `also` Array(String) COMMENT 'What else fails with it: journey·stage·channel·measure',
    `link` String COMMENT 'Where to look'
)
COMMENT 'Alerts, one row each as it stands. Exact now.'
AS SELECT
    alert_id,
    if(change = 'resolved', 'resolved', 'open') AS status,
    journey,
    stage,
    channel,
    CAST(measure, 'String') AS measure,
    since,
    opened_at,
    nullIf(resolved_at, toDateTime64(0, 3, 'UTC')) AS resolved_at,
    settled,
    stays,
    expected,
    observed,
    lost,
    also,
    link
FROM alerts
FINAL;

CREATE VIEW v_channel_paths
(
    `definition` LowCardinality(String) COMMENT 'Journey of journeys.yaml',
    `day` Date COMMENT 'Day (UTC) on which the journeys started',
    `entry_channel` LowCardinality(String) COMMENT 'Channel of their first touchpoint',
    `channel_path` Array(LowCardinality(String)) COMMENT 'Channels in order, repeats collapsed',
    `journeys` UInt64 COMMENT 'Journeys that took this path so far; add up over days',
    `completed` UInt64 COMMENT 'Of them, reached the goal'
)
COMMENT 'Paths across channels, whole. Exact now; v_daily_channel_paths holds the first six channels and is faster.'
AS SELECT
    definition,
    toDate(started_at) AS day,
    entry_channel,
    arrayCompact(path_channel) AS channel_path,
    count() AS journeys,
    countIf(status = 'completed') AS completed
FROM
(
    SELECT
        definition,
        started_at,
        entry_channel,
        path_channel,
        status
    FROM journeys
    FINAL
    WHERE generation = (
        SELECT generation
        FROM live_generation
    )
)
GROUP BY
    definition,
    day,
    entry_channel,
    channel_path;

CREATE VIEW v_daily_channel_paths
(
    `definition` LowCardinality(String) COMMENT 'Journey of journeys.yaml',
    `day` Date COMMENT 'Day (UTC) on which the journeys started',
    `entry_channel` LowCardinality(String) COMMENT 'Channel of their first touchpoint',
    `channel_path` Array(LowCardinality(String)) COMMENT 'First six channels in order, repeats collapsed',
    `journeys` UInt32 COMMENT 'Journeys that took this path so far; add up over days',
    `completed` UInt32 COMMENT 'Of them, reached the goal'
)
COMMENT 'Paths across channels. Prepared: seconds to a minute old.'
AS SELECT
    definition,
    day,
    entry_channel,
    channel_path,
    journeys,
    completed
FROM rollup_channel_paths
FINAL
WHERE (generation = (
    SELECT generation
    FROM live_generation
)) AND (journeys > 0);

CREATE VIEW v_daily_steps
(
    `definition` LowCardinality(String) COMMENT 'Journey of journeys.yaml',
    `day` Date COMMENT 'Day (UTC) on which the journeys started',
    `entry_channel` LowCardinality(String) COMMENT 'Channel of their first touchpoint',
    `step` UInt8 COMMENT 'From which step, from 1; at most 5',
    `channel` LowCardinality(String) COMMENT 'Channel at this step',
    `next_channel` LowCardinality(String) COMMENT 'Channel at the next step',
    `journeys` UInt32 COMMENT 'Journeys that went this way; add up over days and channels'
)
COMMENT 'The first six steps of journeys by channel, for a Sankey diagram. Prepared: seconds to a minute old.'
AS SELECT
    definition,
    day,
    entry_channel,
    step,
    channel,
    next_channel,
    journeys
FROM rollup_steps
FINAL
WHERE (generation = (
    SELECT generation
    FROM live_generation
)) AND (journeys > 0);

CREATE VIEW v_daily_touchpoints
(
    `definition` LowCardinality(String) COMMENT 'Journey of journeys.yaml',
    `day` Date COMMENT 'Day (UTC) on which the journeys started',
    `entry_channel` LowCardinality(String) COMMENT 'Channel of their first touchpoint',
    `channel` LowCardinality(String) COMMENT 'Channel of the touchpoint',
    `touchpoint` LowCardinality(String) COMMENT 'Name of the touchpoint',
    `touchpoints` UInt32 COMMENT 'How often it occurred',
    `journeys` UInt32 COMMENT 'In how many journeys',
    `dropped_after` UInt32 COMMENT 'Journeys that are dropped off with it as their last touchpoint',
    `repeats` UInt32 COMMENT 'Times it was followed by itself',
    `escalations` UInt32 COMMENT 'Times it was followed by the call center, coming from another channel',
    `wait_ms` UInt64 COMMENT 'Time until the next touchpoint, added up, in ms',
    `nps_promoters` UInt32 COMMENT 'NPS answers 9–10',
    `nps_detractors` UInt32 COMMENT 'NPS answers 0–6',
    `nps_answers` UInt32 COMMENT 'NPS answers; NPS = 100 × (promoters − detractors) / answers',
    `csat_satisfied` UInt32 COMMENT 'CSAT answers 4–5',
    `csat_answers` UInt32 COMMENT 'CSAT answers',
    `ces_easy` UInt32 COMMENT 'CES answers of 5 and more',
    `ces_sum` UInt32 COMMENT 'CES answers, added up',
    `ces_answers` UInt32 COMMENT 'CES answers',
    `stars_sum` UInt32 COMMENT 'Stars, added up',
    `stars_answers` UInt32 COMMENT 'Reviews with stars'
)
COMMENT 'Touchpoints within journeys, with friction and feedback. Prepared: seconds to a minute old.'
AS SELECT
    definition,
    day,
    entry_channel,
    channel,
    touchpoint,
    touchpoints,
    journeys,
    dropped_after,
    repeats,
    escalations,
    wait_ms,
    nps_promoters,
    nps_detractors,
    nps_answers,
    csat_satisfied,
    csat_answers,
    ces_easy,
    ces_sum,
    ces_answers,
    stars_sum,
    stars_answers
FROM rollup_touchpoints
FINAL
WHERE (generation = (
    SELECT generation
    FROM live_generation
)) AND (touchpoints > 0);

CREATE VIEW v_daily_transitions
(
    `definition` LowCardinality(String) COMMENT 'Journey of journeys.yaml',
    `day` Date COMMENT 'Day (UTC) on which the journeys started',
    `entry_channel` LowCardinality(String) COMMENT 'Channel of their first touchpoint',
    `touchpoint` LowCardinality(String) COMMENT 'Name of a touchpoint',
    `next_touchpoint` LowCardinality(String) COMMENT 'Name of the one that follows it directly in the same journey',
    `transitions` UInt32 COMMENT 'How often; add up over days and channels'
)
COMMENT 'As v_transitions. Prepared: seconds to a minute old.'
AS SELECT
    definition,
    day,
    entry_channel,
    touchpoint,
    next_touchpoint,
    transitions
FROM rollup_transitions
FINAL
WHERE (generation = (
    SELECT generation
    FROM live_generation
)) AND (transitions > 0);

CREATE VIEW v_dead_letters
(
    `at` DateTime64(3, 'UTC') COMMENT 'When it was refused',
    `source` LowCardinality(String) COMMENT 'Who sent it',
    `leg` LowCardinality(String) COMMENT 'Who refused it: collector, import, identity, stitch, sink',
    `reason` LowCardinality(String) COMMENT 'Why; all reasons are in docs/reference.md',
    `path` LowCardinality(String) COMMENT 'Where in the record; empty: the whole',
    `message` String COMMENT 'What is wrong and how to fix it',
    `address` String COMMENT 'topic/partition/offset, file:line, or request/index',
    `record` String COMMENT 'The record, cut at 64 kB',
    `bytes` UInt64 COMMENT 'Its size',
    `sha256` String COMMENT 'Hash of the whole record'
)
COMMENT 'What was not accepted, with the reason and the place. Exact now. Holds plain identifiers.'
AS SELECT
    at,
    source,
    leg,
    reason,
    path,
    message,
    address,
    record,
    bytes,
    sha256
FROM dead_letters
FINAL;

CREATE VIEW v_drop_off
(
    `definition` LowCardinality(String) COMMENT 'Journey of journeys.yaml',
    `day` Date COMMENT 'Day (UTC) on which the journeys started',
    `entry_channel` LowCardinality(String) COMMENT 'Channel of their first touchpoint',
    `stage` UInt8 COMMENT 'Rank of the stage, from 1',
    `stage_name` LowCardinality(String) COMMENT 'Its name',
    `entered` UInt64 COMMENT 'Journeys that entered the stage',
    `decided` UInt64 COMMENT 'Of them, left it for another stage, reached the goal, or fell silent beyond its patience',
    `dropped_off` UInt64 COMMENT 'Of them, fell silent here and have not come back',
    `recovered` UInt64 COMMENT 'Of them, fell silent here and came back',
    `drop_off_rate` Float64 COMMENT 'dropped_off / decided; over several rows: sum(dropped_off) / sum(decided)'
)
COMMENT 'Drop-off rate per stage, each journey once per stage, recovered beside it. Exact now.'
AS SELECT
    definition,
    day,
    entry_channel,
    stage,
    named.name AS stage_name,
    entered,
    decided,
    dropped_off,
    recovered,
    if(decided = 0, 0, dropped_off / decided) AS drop_off_rate
FROM
(
    SELECT
        definition,
        toDate(started_at) AS day,
        entry_channel,
        stage,
        count() AS entered,
        countIf(moved_on OR journey_stages.dropped_off OR journey_stages.recovered) AS decided,
        sum(journey_stages.dropped_off) AS dropped_off,
        sum(journey_stages.recovered) AS recovered
    FROM journey_stages
    WHERE generation = (
        SELECT generation
        FROM live_generation
    )
    GROUP BY
        definition,
        day,
        entry_channel,
        stage
) AS counted
LEFT JOIN
(
    SELECT
        definition,
        stage,
        name
    FROM stages
    FINAL
    WHERE generation = (
        SELECT generation
        FROM live_generation
    )
) AS named USING (definition, stage);

CREATE VIEW v_erasures
(
    `erasure_id` String COMMENT 'The erasure; it may be of several customers',
    `person_id` UUID COMMENT 'The customer: a keyed hash, all that is left',
    `at` DateTime64(3, 'UTC') COMMENT 'What occurred up to then was erased, and stays away whenever it arrives',
    `because` LowCardinality(String) COMMENT 'request, consent (it was withdrawn) or retention (its period is over)',
    `ordered_by` LowCardinality(String) COMMENT 'Who ran the command',
    `removed` Map(LowCardinality(String), UInt64) COMMENT 'Table → what was deleted there: touchpoints, journeys, identifiers, …',
    `finished_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'When nothing was left in ClickHouse; NULL: it broke off, run it again',
    `logs_until` DateTime64(3, 'UTC') COMMENT 'When retention has deleted the last of it from the logs in Kafka',
    `compacted_until` DateTime64(3, 'UTC') COMMENT 'When compaction has deleted the last of it from the compacted topics'
)
COMMENT 'Who was erased, when and why, what was deleted where, and when the logs have forgotten it too. Exact now.'
AS SELECT
    erasure_id,
    person_id,
    at,
    because,
    ordered_by,
    removed,
    finished_at,
    logs_until,
    compacted_until
FROM erasures
FINAL;

CREATE VIEW v_feedback
(
    `event_id` UUID COMMENT 'The answer; joins v_touchpoint_facts, which has its text',
    `person_id` UUID COMMENT 'The customer',
    `journey_id` Nullable(UUID) COMMENT 'The journey in which it was given; NULL: in none',
    `definition` LowCardinality(String) COMMENT 'Which journey of journeys.yaml that is: one row per journey; empty: none',
    `answered_at` DateTime64(3, 'UTC') COMMENT 'When it was given',
    `arrived_at` DateTime64(3, 'UTC') COMMENT 'When Kafka stored it',
    `given_channel` LowCardinality(String) COMMENT 'Where it was given',
    `given_touchpoint` LowCardinality(String) COMMENT 'Name of the touchpoint that it came with',
    `kind` LowCardinality(String) COMMENT 'nps, csat, ces, stars, text',
    `score` Nullable(Int8) COMMENT 'Score in the scale of its kind',
    `sentiment` LowCardinality(String) COMMENT 'Of the text: negative, neutral, positive; empty: none',
    `bound` LowCardinality(String) COMMENT 'How the next four came about: id (the source said), rule, itself',
    `about_at` DateTime64(3, 'UTC') COMMENT 'When the touchpoint occurred that it is about',
    `channel` LowCardinality(String) COMMENT 'Channel of the touchpoint that it is about',
    `touchpoint` LowCardinality(String) COMMENT 'Name of the touchpoint that it is about',
    `stage` UInt8 COMMENT 'Rank of the stage of the journey then; 0: not of this journey, or none yet',
    `segment` LowCardinality(String) COMMENT 'Property `segment` of the answer, else of the touchpoint that its source named',
    `nps` Nullable(Int8) COMMENT '1 promoter (9–10), 0 passive, −1 detractor (0–6): NPS = 100 × avg(nps)',
    `satisfied` Nullable(UInt8) COMMENT 'CSAT of 4–5: avg(satisfied) is the share',
    `easy` Nullable(UInt8) COMMENT 'CES of 5–7: avg(easy) is the share; avg(score) where kind = \'ces\' the mean',
    `low` Nullable(UInt8) COMMENT 'Detractor, CSAT or stars of 1–2, CES of 1–3, negative text; NULL: says nothing',
    `feeling` Nullable(Float64) COMMENT 'On −1 … +1, as peak_end in v_journeys'
)
COMMENT 'One row per answer and journey that it was given in, with the touchpoint that it is about. Exact now.'
AS WITH
    live AS
    (
        SELECT generation
        FROM live_generation
    ),
    given AS
    (
        SELECT
            person_id,
            event_id
        FROM person_touchpoints
        WHERE feedback != ''
    ),
    answers AS
    (
        SELECT
            person_id,
            event_id,
            occurred_at,
            arrived_at,
            channel,
            name,
            feedback,
            score,
            sentiment,
            row_number() OVER (PARTITION BY person_id, occurred_at, feedback, score ORDER BY sequence ASC, toString(event_id) ASC) AS place
        FROM person_touchpoints
        FINAL
        WHERE (generation = (
            SELECT generation
            FROM live
        )) AND (feedback != '') AND ((person_id, event_id) IN (given))
    ),
    in_journeys AS
    (
        SELECT
            person_id,
            journey_id,
            definition,
            path_time[step + 1] AS occurred_at,
            kind AS feedback,
            felt AS score,
            path_time,
            path_channel,
            path_touchpoint,
            arrayFill(rank -> (rank > 0), path_stage) AS ranks,
            arrayLastIndex((rank, number) -> ((number <= step) AND (rank > 0) AND (rank != (path_stage[step + 1])) AND (NOT has(feedback_step, number - 1))), path_stage, arrayEnumerate(path_stage)) AS before,
            step + 1 AS own,
            row_number() OVER (PARTITION BY person_id, definition, occurred_at, feedback, score ORDER BY started_at ASC, step ASC) AS place
        FROM
        (
            SELECT
                person_id,
                journey_id,
                definition,
                started_at,
                path_time,
                path_channel,
                path_touchpoint,
                path_stage,
                feedback_step,
                kind,
                felt,
                step
            FROM journeys
            FINAL
            ARRAY JOIN
                feedback_kind AS kind,
                feedback_score AS felt,
                feedback_step AS step
            WHERE (generation = (
                SELECT generation
                FROM live
            )) AND notEmpty(feedback_kind)
        )
        WHERE step < length(path_time)
    ),
    spaces AS
    (
        SELECT
            source,
            SHA1(concat(unhex('7e0b9c525a3c5d0e9a536f1d3c1f0a77'), source)) AS hash,
            concat(substring(hash, 1, 6), char(bitOr(bitAnd(reinterpretAsUInt8(substring(hash, 7, 1)), 15), 80)), substring(hash, 8, 1), char(bitOr(bitAnd(reinterpretAsUInt8(substring(hash, 9, 1)), 63), 128)), substring(hash, 10, 7)) AS space
        FROM
        (
            SELECT DISTINCT source
            FROM touchpoints
        )
    ),
    facts AS
    (
        SELECT
            event_id,
            source,
            feedback_about,
            JSONExtractString(properties, 'segment') AS segment
        FROM touchpoints
        FINAL
        WHERE event_id IN (
            SELECT event_id
            FROM given
        )
    ),
    named AS
    (
        SELECT
            facts.event_id AS answer,
            spaces.source != facts.source AS strange,
            SHA1(concat(space, feedback_about)) AS hash,
            toUUID(UUIDNumToString(toFixedString(concat(substring(hash, 1, 6), char(bitOr(bitAnd(reinterpretAsUInt8(substring(hash, 7, 1)), 15), 80)), substring(hash, 8, 1), char(bitOr(bitAnd(reinterpretAsUInt8(substring(hash, 9, 1)), 63), 128)), substring(hash, 10, 7)), 16))) AS target
        FROM facts
        CROSS JOIN spaces
        WHERE feedback_about != ''
    ),
    targets AS
    (
        SELECT
            answers.event_id AS answer,
            argMin((theirs.occurred_at, theirs.channel, theirs.name, theirs.event_id), strange) AS about
        FROM answers
        INNER JOIN named ON named.answer = answers.event_id
        INNER JOIN
        (
            SELECT
                person_id,
                event_id,
                occurred_at,
                channel,
                name
            FROM person_touchpoints
            FINAL
            WHERE (generation = (
                SELECT generation
                FROM live
            )) AND (person_id IN (
                SELECT person_id
                FROM given
            )) AND (event_id IN (
                SELECT target
                FROM named
            ))
        ) AS theirs ON (theirs.event_id = named.target) AND (theirs.person_id = answers.person_id)
        GROUP BY answer
    ),
    segments AS
    (
        SELECT
            event_id,
            JSONExtractString(properties, 'segment') AS segment
        FROM touchpoints
        FINAL
        WHERE event_id IN (
            SELECT target
            FROM named
        )
    )
SELECT
    answers.event_id AS event_id,
    answers.person_id AS person_id,
    if(notEmpty(in_journeys.definition), toNullable(in_journeys.journey_id), NULL) AS journey_id,
    in_journeys.definition AS definition,
    answers.occurred_at AS answered_at,
    answers.arrived_at AS arrived_at,
    answers.channel AS given_channel,
    answers.name AS given_touchpoint,
    answers.feedback AS kind,
    nullIf(answers.score, -1) AS score,
    answers.sentiment AS sentiment,
    multiIf(notEmpty(tupleElement(targets.about, 2)), 'id', in_journeys.before > 0, 'rule', 'itself') AS bound,
    multiIf(bound = 'id', tupleElement(targets.about, 1), bound = 'rule', path_time[before], answered_at) AS about_at,
    multiIf(bound = 'id', tupleElement(targets.about, 2), bound = 'rule', path_channel[before], given_channel) AS channel,
    multiIf(bound = 'id', tupleElement(targets.about, 3), bound = 'rule', path_touchpoint[before], given_touchpoint) AS touchpoint,
    if(bound = 'id', arrayFirst((rank, at, name) -> ((at = about_at) AND (name = touchpoint)), ranks, path_time, path_touchpoint), ranks[if(bound = 'rule', before, own)]) AS stage,
    if(notEmpty(facts.segment), facts.segment, segments.segment) AS segment,
    if(kind = 'nps', toNullable(multiIf(score >= 9, 1, score >= 7, 0, -1)), NULL) AS nps,
    if(kind = 'csat', toNullable(score >= 4), NULL) AS satisfied,
    if(kind = 'ces', toNullable(score >= 5), NULL) AS easy,
    multiIf(kind = 'nps', toNullable(score <= 6), (kind IN ('csat', 'stars')), score <= 2, kind = 'ces', score <= 3, sentiment != '', sentiment = 'negative', NULL) AS low,
    multiIf(kind = 'nps', (score - 5) / 5, (kind IN ('csat', 'stars')), (score - 3) / 2, kind = 'ces', (score - 4) / 3, sentiment = '', NULL, transform(sentiment, ['negative', 'positive'], [-1., 1.], 0.)) AS feeling
FROM answers
LEFT JOIN in_journeys ON (in_journeys.person_id = answers.person_id) AND (in_journeys.occurred_at = answers.occurred_at) AND (in_journeys.feedback = answers.feedback) AND (in_journeys.score = answers.score) AND (in_journeys.place = answers.place)
LEFT JOIN targets ON targets.answer = answers.event_id
LEFT JOIN facts ON facts.event_id = answers.event_id
LEFT JOIN segments ON segments.event_id = tupleElement(targets.about, 4);

CREATE VIEW v_follow_ups
(
    `event_id` UUID COMMENT 'The answer; joins v_feedback',
    `person_id` UUID COMMENT 'The customer',
    `wanted` LowCardinality(String) COMMENT 'call_back (a detractor, 0–6) or thank (a promoter, 9–10)',
    `score` Int8 COMMENT 'NPS, 0–10',
    `answered_at` DateTime64(3, 'UTC') COMMENT 'When it was given',
    `arrived_at` DateTime64(3, 'UTC') COMMENT 'When Kafka stored it',
    `state` LowCardinality(String) COMMENT 'open, taken or done',
    `by` LowCardinality(String) COMMENT 'Who took it or did it; empty: nobody',
    `since` Nullable(DateTime64(3, 'UTC')) COMMENT 'Since when it is in this state; NULL: since it was given',
    `changes` UInt32 COMMENT 'How often its state was changed'
)
COMMENT 'Detractors to call back and promoters to thank, with what was done about it. Exact now.'
AS WITH
    said AS
    (
        SELECT
            event_id,
            max(number) AS changes,
            argMax((state, by, at), number) AS last
        FROM follow_ups
        FINAL
        GROUP BY event_id
    )
SELECT
    answers.event_id AS event_id,
    answers.person_id AS person_id,
    if(answers.score >= 9, 'thank', 'call_back') AS wanted,
    answers.score AS score,
    answers.occurred_at AS answered_at,
    answers.arrived_at AS arrived_at,
    if(said.changes = 0, 'open', CAST(tupleElement(said.last, 1), 'String')) AS state,
    if(state = 'open', '', tupleElement(said.last, 2)) AS by,
    if(said.changes = 0, NULL, toNullable(CAST(tupleElement(said.last, 3), 'DateTime64(3, \'UTC\')'))) AS since,
    said.changes AS changes
FROM
(
    SELECT
        event_id,
        person_id,
        score,
        occurred_at,
        arrived_at
    FROM person_touchpoints
    FINAL
    WHERE (generation = (
        SELECT generation
        FROM live_generation
    )) AND (feedback = 'nps') AND ((score <= 6) OR (score >= 9)) AND ((person_id, event_id) IN (
        SELECT
            person_id,
            event_id
        FROM person_touchpoints
        WHERE feedback = 'nps'
    ))
) AS answers
LEFT JOIN said ON said.event_id = answers.event_id;

CREATE VIEW v_funnel
(
    `definition` LowCardinality(String) COMMENT 'Journey of journeys.yaml',
    `hour` DateTime('UTC') COMMENT 'Hour in which the journeys started',
    `entry_channel` LowCardinality(String) COMMENT 'Channel of their first touchpoint',
    `stage` UInt8 COMMENT 'Rank of the stage, from 1',
    `stage_name` LowCardinality(String) COMMENT 'Its name',
    `entered` UInt32 COMMENT 'Journeys that entered the stage = moved_on + dropped_off + still_open',
    `moved_on` UInt32 COMMENT 'Of them, left it for another stage or reached the goal, and are not dropped off here',
    `dropped_off` UInt32 COMMENT 'Of them, fell silent here beyond its patience and have not come back',
    `still_open` UInt32 COMMENT 'Of them, still here within its patience',
    `recovered` UInt32 COMMENT 'Of them, fell silent here and came back, wherever they are now',
    `completed` UInt32 COMMENT 'Of them, reached the goal'
)
COMMENT 'Journeys per stage and hour of start. Prepared: seconds old. Add up over hours and channels.'
AS SELECT
    definition,
    hour,
    entry_channel,
    stage,
    named.name AS stage_name,
    entered,
    moved_on,
    dropped_off,
    still_open,
    recovered,
    completed
FROM
(
    SELECT *
    FROM rollup_funnel
    FINAL
    WHERE (generation = (
        SELECT generation
        FROM live_generation
    )) AND (entered > 0)
) AS counted
LEFT JOIN
(
    SELECT
        definition,
        stage,
        name
    FROM stages
    FINAL
    WHERE generation = (
        SELECT generation
        FROM live_generation
    )
) AS named USING (definition, stage);

CREATE VIEW v_identities
(
    `identifier` String COMMENT 'kind:value, normalised',
    `person_id` UUID COMMENT 'The customer: of a name whom it belongs to, of a device who was named on it last',
    `shared` Bool COMMENT 'It has too many partners or is blocked: it links and names nobody',
    `at` DateTime64(3, 'UTC') COMMENT 'When this was learnt'
)
COMMENT 'Whose each identifier is. Exact now. Holds plain identifiers.'
AS SELECT
    identifier,
    person_id,
    shared,
    at
FROM identities
FINAL
WHERE generation = (
    SELECT generation
    FROM live_generation
);

CREATE VIEW v_journeys
(
    `journey_id` UUID COMMENT 'The journey; changes when its first touchpoint or its customer changes',
    `person_id` UUID COMMENT 'The customer',
    `definition` LowCardinality(String) COMMENT 'Which journey of journeys.yaml it is',
    `definition_version` UInt32 COMMENT 'Version of the definition that it was computed with',
    `started_at` DateTime64(3, 'UTC') COMMENT 'Time of its first touchpoint',
    `last_at` DateTime64(3, 'UTC') COMMENT 'Time of its last touchpoint',
    `status` LowCardinality(String) COMMENT 'open, completed, dropped_off or recovered, at the time of the query',
    `stage` UInt8 COMMENT 'Rank of the stage of its last touchpoint that has one; names in v_stages',
    `furthest_stage` UInt8 COMMENT 'Highest rank that it reached',
    `stages` Array(UInt8) COMMENT 'Ranks of the stages that it entered, rising',
    `stages_skipped` Array(UInt8) COMMENT 'Ranks below the furthest that it never entered, rising',
    `stages_back` Array(UInt8) COMMENT 'Ranks that it went back to from a later stage, rising',
    `stages_repeated` Array(UInt8) COMMENT 'Ranks that it entered more than once, rising',
    `stage_ms` Map(UInt8, Int64) COMMENT 'Rank → ms from its touchpoints to the next ones, silences included; within the path',
    `completed_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'When it reached its goal',
    `due_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'When silence becomes, or became, a drop-off',
    `touchpoints` UInt32 COMMENT 'Number of its touchpoints',
    `entry_channel` LowCardinality(String) COMMENT 'Channel of its first touchpoint',
    `value` Map(LowCardinality(String), Int64) COMMENT 'Currency → minor units; never add up over currencies',
    `peak_end` Nullable(Float64) COMMENT 'Experience score −1 … +1: mean of the most intense and the last feedback; ours',
    `drop_off_at` Array(DateTime64(3, 'UTC')) COMMENT 'Deadlines at which it had fallen silent',
    `drop_off_stage` Array(UInt8) COMMENT 'Stage of each silence',
    `drop_off_step` Array(UInt32) COMMENT 'Step before each silence, index into the path from 0',
    `recovered_at` Array(DateTime64(3, 'UTC')) COMMENT 'Return after each silence; 1970: not yet',
    `feedback_kind` Array(LowCardinality(String)) COMMENT 'Feedback: kinds',
    `feedback_score` Array(Int8) COMMENT 'Feedback: scores in the scale of each kind; −1: none',
    `feedback_step` Array(UInt32) COMMENT 'Feedback: its step, index into the path from 0',
    `path_time` Array(DateTime64(3, 'UTC')) COMMENT 'Path: times; at most 2,000 steps',
    `path_channel` Array(LowCardinality(String)) COMMENT 'Path: channels',
    `path_touchpoint` Array(LowCardinality(String)) COMMENT 'Path: names of the touchpoints',
    `path_stage` Array(UInt8) COMMENT 'Path: stages; 0: none',
    `arrived_at` DateTime64(3, 'UTC') COMMENT 'When the newest touchpoint that it answers to arrived'
)
COMMENT 'One row per live journey. Exact now; the status is brought up to the time of the query.'
AS SELECT
    journey_id,
    person_id,
    definition,
    definition_version,
    started_at,
    last_at,
    if((status IN ('open', 'recovered')) AND (due_at > toDateTime64(0, 3, 'UTC')) AND (due_at < now64(3, 'UTC')), 'dropped_off', CAST(status, 'String')) AS status,
    stage,
    furthest_stage,
    entered AS stages,
    arrayFilter(rank -> (NOT has(entered, rank)), arrayMap(rank -> toUInt8(rank), range(1, furthest_stage))) AS stages_skipped,
    arraySort(arrayDistinct(arrayFilter((rank, before) -> (rank < before), arrayPopFront(walked), arrayPopBack(walked)))) AS stages_back,
    arrayFilter(rank -> (countEqual(walked, rank) > 1), entered) AS stages_repeated,
    mapFromArrays(entered, arrayMap(rank -> arraySum((at_stage, wait) -> if(at_stage = rank, wait, 0), arrayPopBack(arrayFill(at_stage -> (at_stage > 0), path_stage)), arrayPopFront(arrayDifference(arrayMap(at -> toUnixTimestamp64Milli(at), path_time)))), entered)) AS stage_ms,
    nullIf(completed_at, toDateTime64(0, 3, 'UTC')) AS completed_at,
    nullIf(due_at, toDateTime64(0, 3, 'UTC')) AS due_at,
    touchpoints,
    entry_channel,
    value,
    peak_end,
    drop_off_at,
    drop_off_stage,
    drop_off_step,
    recovered_at,
    feedback_kind,
    feedback_score,
    feedback_step,
    path_time,
    path_channel,
    path_touchpoint,
    path_stage,
    arrived_at
FROM
(
    SELECT
        * EXCEPT stages,
        arrayMap(bit -> toUInt8(bit), bitPositionsToArray(stages)) AS entered,
        arrayCompact(arrayFilter(rank -> (rank > 0), path_stage)) AS walked
    FROM journeys
    FINAL
    WHERE generation = (
        SELECT generation
        FROM live_generation
    )
);

CREATE VIEW v_late
(
    `person_id` UUID COMMENT 'Whose it is',
    `event_id` UUID COMMENT 'The touchpoint',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'When it occurred, not after closed_at',
    `closed_at` DateTime64(3, 'UTC') COMMENT 'Up to when the journeys of the customer are closed: none that began before can change',
    `arrived_at` DateTime64(3, 'UTC') COMMENT 'When it arrived, was corrected or came to this customer',
    `cause` LowCardinality(String) COMMENT 'Why it came to this customer: named, merge, split, correction; empty: it is the first owner'
)
COMMENT 'Touchpoints that are stored but in no journey until a replay: they came after the horizon of their customer. Exact now.'
AS SELECT
    person_id,
    event_id,
    occurred_at,
    closed_at,
    arrived_at,
    cause
FROM late
FINAL
WHERE (generation = (
    SELECT generation
    FROM live_generation
)) AND (occurred_at > toDateTime64(0, 3, 'UTC')) AND ((person_id, event_id, version) IN (
    SELECT
        person_id,
        event_id,
        version
    FROM person_touchpoints
    FINAL
    WHERE (generation = (
        SELECT generation
        FROM live_generation
    )) AND ((person_id, event_id) IN (
        SELECT
            person_id,
            event_id
        FROM late
    ))
));

CREATE VIEW v_ledger
(
    `source` LowCardinality(String) COMMENT 'Who sent it; unknown: it cannot be read',
    `hour` DateTime('UTC') COMMENT 'Hour of arrival',
    `sent` Int64 COMMENT 'Everything that arrived or must have been sent: the sum of the others',
    `stored` Int64 COMMENT 'Touchpoints, each once, in the hour of its first revision; retracted ones too',
    `superseded` Int64 COMMENT 'Revisions beside the first of a touchpoint: of all of them one stands',
    `late` Int64 COMMENT 'Kept, but came after the horizon of its customer: v_late',
    `duplicate` Int64 COMMENT 'Came again with equal content',
    `rejected` Int64 COMMENT 'Is in v_dead_letters',
    `erased` Int64 COMMENT 'Was erased on request',
    `missing` Int64 COMMENT 'Gaps in the numbers (sequence, from 0) of a stream, in the hour of the next that arrived'
)
COMMENT 'What became of everything that was sent, per source and hour of arrival; add up as you like. Exact now.'
AS SELECT
    source,
    hour,
    (((((n_stored + n_superseded) + n_late) + n_duplicate) + n_rejected) + n_erased) + n_missing AS sent,
    n_stored AS stored,
    n_superseded AS superseded,
    n_late AS late,
    n_duplicate AS duplicate,
    n_rejected AS rejected,
    n_erased AS erased,
    n_missing AS missing
FROM
(
    SELECT
        source,
        hour,
        sumIf(n, decision = 'stored') AS n_stored,
        sumIf(n, decision = 'superseded') AS n_superseded,
        sumIf(n, decision = 'late') AS n_late,
        sumIf(n, decision = 'duplicate') AS n_duplicate,
        sumIf(n, decision = 'rejected') AS n_rejected,
        sumIf(n, decision = 'erased') AS n_erased,
        sumIf(n, decision = 'missing') AS n_missing
    FROM
    (
        SELECT
            source,
            hour,
            CAST(decision, 'String') AS decision,
            touchpoints AS n
        FROM ledger
        FINAL
        WHERE generation = (
            SELECT generation
            FROM live_generation
        )
        UNION ALL
        SELECT
            source,
            toStartOfHour(fromUnixTimestamp64Milli(toInt64(281474976710655 - bitAnd(bitShiftRight(version, 48), 281474976710655)), 'UTC'), 'UTC') AS hour,
            tupleElement(instead, 1) AS decision,
            toInt64(tupleElement(instead, 2)) AS n
        FROM
        (
            SELECT
                source,
                version
            FROM touchpoints
            FINAL
            WHERE event_id IN (
                SELECT event_id
                FROM v_late
            )
        )
        ARRAY JOIN [('late', 1), ('stored', -1)] AS instead
        UNION ALL
        SELECT
            source,
            toStartOfHour(at, 'UTC') AS hour,
            'rejected' AS decision,
            toInt64(1) AS n
        FROM dead_letters
        FINAL
        WHERE leg IN ('collector', 'import')
        UNION ALL
        SELECT
            source,
            toStartOfHour(arrived, 'UTC') AS hour,
            'erased' AS decision,
            toInt64(1) AS n
        FROM erased
        FINAL
        WHERE uncounted
        UNION ALL
        SELECT
            source,
            toStartOfHour(tupleElement(gap, 2), 'UTC') AS hour,
            'missing' AS decision,
            tupleElement(gap, 1) AS n
        FROM
        (
            SELECT
                source,
                stream,
                arraySort(groupArray((number, arrived))) AS seen,
                arrayMap(one -> tupleElement(one, 1), seen) AS numbers,
                arrayFilter(gap -> (tupleElement(gap, 1) > 0), arrayMap((one, before) -> ((tupleElement(one, 1) - before) - 1, tupleElement(one, 2)), seen, arrayPushFront(arrayPopBack(numbers), toInt64(-1)))) AS gaps
            FROM
            (
                SELECT
                    source,
                    sipHash128Keyed((
                        SELECT tuple(min(key_0), min(key_1))
                        FROM erased_key
                    ), stream) AS stream,
                    toInt64(assumeNotNull(sequence)) AS number,
                    fromUnixTimestamp64Milli(toInt64(281474976710655 - bitAnd(bitShiftRight(version, 48), 281474976710655)), 'UTC') AS arrived
                FROM
                (
                    SELECT
                        source,
                        stream,
                        sequence,
                        version
                    FROM touchpoints
                    FINAL
                    UNION ALL
                    SELECT
                        source,
                        stream,
                        sequence,
                        version
                    FROM touchpoints
                    WHERE is_deleted
                )
                WHERE sequence IS NOT NULL
                UNION ALL
                SELECT
                    source,
                    sipHash128Keyed((
                        SELECT tuple(min(key_0), min(key_1))
                        FROM erased_key
                    ), JSONExtractString(record, 'stream')),
                    JSONExtractInt(record, 'sequence') AS number,
                    at
                FROM dead_letters
                FINAL
                WHERE (JSONType(record, 'sequence') IN ('Int64', 'UInt64')) AND ((number >= 0) AND (number <= 2147483647))
                UNION ALL
                SELECT
                    source,
                    stream,
                    toInt64(assumeNotNull(sequence)) AS number,
                    arrived
                FROM erased
                FINAL
                WHERE sequence IS NOT NULL
            )
            GROUP BY
                source,
                stream
        )
        ARRAY JOIN gaps AS gap
    )
    GROUP BY
        source,
        hour
);

CREATE VIEW v_moments_of_truth
(
    `definition` LowCardinality(String) COMMENT 'Journey of journeys.yaml; only those that have a goal',
    `channel` LowCardinality(String) COMMENT 'Channel of the touchpoint',
    `touchpoint` LowCardinality(String) COMMENT 'Its name',
    `journeys` UInt64 COMMENT 'Matured journeys that passed it; of fewer than 30 nothing is said',
    `conversion` Float64 COMMENT 'Share of them that reached the goal',
    `decides` Float64 COMMENT 'How much of what is still open at it is decided by what they do next: 0 nothing, 1 all',
    `weight` Float64 COMMENT 'What is decided after it, as a share of what is decided after all touchpoints; the highest first',
    `best_next` LowCardinality(String) COMMENT 'What is done next (channel and name) by those who reach the goal most often',
    `best_conversion` Float64 COMMENT 'And how often they reach it',
    `falls_silent` Float64 COMMENT 'Share that does nothing more'
)
COMMENT 'After which touchpoint the outcome of a journey is decided more than elsewhere. Exact now.'
AS WITH
    matures AS
    (
        SELECT
            definition,
            sum(if(stage < goal, patience_ms, 0)) AS after
        FROM v_stages
        INNER JOIN
        (
            SELECT
                definition,
                min(stage) AS goal
            FROM v_stages
            WHERE is_goal
            GROUP BY definition
        ) AS goals USING (definition)
        GROUP BY definition
    ),
    steps AS
    (
        SELECT
            definition,
            completed,
            tupleElement(step, 1) AS channel,
            tupleElement(step, 2) AS touchpoint,
            tupleElement(step, 3) AS next
        FROM
        (
            SELECT
                definition,
                started_at,
                status = 'completed' AS completed,
                arrayFilter((at, rank) -> ((rank > 0) AND ((completed_at = toDateTime64(0, 3, 'UTC')) OR (at <= completed_at))), path_time, path_stage) AS times,
                length(times) AS many,
                arraySlice(arrayFilter((one, rank) -> (rank > 0), path_channel, path_stage), 1, many) AS channels,
                arraySlice(arrayFilter((one, rank) -> (rank > 0), path_touchpoint, path_stage), 1, many) AS names,
                arrayMap((one, name) -> concat(one, ' ', name), channels, names) AS places,
                arrayZip(channels, names, arrayPushBack(arrayPopFront(places), ''), arrayEnumerateUniq(places)) AS all_steps,
                arrayJoin(arrayFilter(one -> (tupleElement(one, 4) = 1), if(completed, arrayPopBack(all_steps), all_steps))) AS step
            FROM journeys
            FINAL
            WHERE generation = (
                SELECT generation
                FROM live_generation
            )
        ) AS walked
        INNER JOIN matures USING (definition)
        WHERE (toUnixTimestamp64Milli(started_at) + toInt64(after)) < toUnixTimestamp64Milli(now64(3, 'UTC'))
    ),
    nexts AS
    (
        SELECT
            definition,
            channel,
            touchpoint,
            next,
            count() AS n,
            sum(completed) / n AS reach
        FROM steps
        GROUP BY
            definition,
            channel,
            touchpoint,
            next
    ),
    decided AS
    (
        SELECT
            definition,
            channel,
            touchpoint,
            sum(n) AS journeys,
            sum(n * reach) / journeys AS conversion,
            sum((n * reach) * reach) - ((journeys * conversion) * conversion) AS explained,
            argMax(next, (reach, n)) AS best_next,
            max(reach) AS best_conversion,
            sumIf(n, next = '') / journeys AS falls_silent
        FROM nexts
        GROUP BY
            definition,
            channel,
            touchpoint
        HAVING journeys >= 30
    )
SELECT
    definition,
    channel,
    touchpoint,
    journeys,
    conversion,
    if((conversion IN (0., 1.)), 0., explained / ((journeys * conversion) * (1 - conversion))) AS decides,
    if(sum(explained) OVER (PARTITION BY definition) = 0, 0., explained / sum(explained) OVER (PARTITION BY definition)) AS weight,
    best_next,
    best_conversion,
    falls_silent
FROM decided;

CREATE VIEW v_outcomes
(
    `outcome_id` UUID COMMENT 'The outcome',
    `journey_id` UUID COMMENT 'Its journey',
    `person_id` UUID COMMENT 'The customer',
    `definition` LowCardinality(String) COMMENT 'Journey of journeys.yaml',
    `kind` LowCardinality(String) COMMENT 'dropped_off, recovered or completed',
    `at` DateTime64(3, 'UTC') COMMENT 'The deadline of a drop-off; the touchpoint of a recovery or a completion',
    `stage` UInt8 COMMENT 'Rank of the stage then; of a recovery the one at which it had dropped off',
    `channel` LowCardinality(String) COMMENT 'Channel of the last touchpoint then: before the silence, or the one that ended it',
    `touchpoint` LowCardinality(String) COMMENT 'Name of that touchpoint',
    `historical` Bool COMMENT 'Its touchpoint arrived when silence after it would have been a drop-off already; never alerted'
)
COMMENT 'Drop-offs, recoveries and completions as they happened; what a late touchpoint disproved is gone. Exact now.'
AS SELECT
    outcome_id,
    journey_id,
    person_id,
    definition,
    CAST(kind, 'String') AS kind,
    at,
    stage,
    channel,
    touchpoint,
    historical
FROM outcomes
FINAL
WHERE (generation = (
    SELECT generation
    FROM live_generation
)) AND (NOT retracted);

CREATE VIEW v_pain_evidence
(
    `definition` LowCardinality(String) COMMENT 'Journey of journeys.yaml',
    `channel` LowCardinality(String) COMMENT 'Channel of the last touchpoint that has a stage',
    `touchpoint` LowCardinality(String) COMMENT 'Its name',
    `stage` UInt8 COMMENT 'Rank of its stage',
    `journey_id` UUID COMMENT 'A journey that is silent after it',
    `person_id` UUID COMMENT 'The customer',
    `at` DateTime64(3, 'UTC') COMMENT 'When they were at the touchpoint',
    `due_at` DateTime64(3, 'UTC') COMMENT 'When their silence became a drop-off'
)
COMMENT 'Journeys that dropped off, by the touchpoint after which: the evidence of a pain point. Exact now.'
AS SELECT
    definition,
    path_channel[step] AS channel,
    path_touchpoint[step] AS touchpoint,
    path_stage[step] AS stage,
    journey_id,
    person_id,
    path_time[step] AS at,
    due_at
FROM
(
    SELECT
        definition,
        journey_id,
        person_id,
        path_time,
        path_channel,
        path_touchpoint,
        path_stage,
        due_at,
        arrayLastIndex(rank -> (rank > 0), path_stage) AS step
    FROM journeys
    FINAL
    WHERE (generation = (
        SELECT generation
        FROM live_generation
    )) AND (status != 'completed') AND (due_at > toDateTime64(0, 3, 'UTC')) AND (due_at < now64(3, 'UTC'))
)
WHERE step > 0;

CREATE VIEW v_pain_points
(
    `definition` LowCardinality(String) COMMENT 'Journey of journeys.yaml',
    `place` UInt32 COMMENT 'Place in the ranking, from 1: first where they leave, then where it is rated low, then the rest',
    `channel` LowCardinality(String) COMMENT 'Channel of the touchpoint',
    `touchpoint` LowCardinality(String) COMMENT 'Its name',
    `stage` UInt8 COMMENT 'Rank of its stage',
    `hurts` Bool COMMENT 'It is a pain point: more leave after it than comparable ones, or rate it lower, beyond chance',
    `severity` Float64 COMMENT 'Share of those who pass it that is lost, or hurt as much as if; see docs/figures.md',
    `journeys` UInt64 COMMENT 'Reach: journeys that passed it',
    `pain` Float64 COMMENT 'severity × reach × share that reaches the goal from here: what the ranking goes by',
    `lost` Float64 COMMENT 'Journeys that would have reached their goal if no more left after it than after comparable ones',
    `cost` Map(LowCardinality(String), Int64) COMMENT 'What those would have brought in: currency → minor units',
    `drop_off` Nullable(Float64) COMMENT 'Share that is silent after it for good',
    `drop_off_comparable` Nullable(Float64) COMMENT 'The same among comparable passes of other touchpoints',
    `drop_off_low` Nullable(Float64) COMMENT 'Interval of the difference, for all touchpoints together: low',
    `drop_off_high` Nullable(Float64) COMMENT 'And high',
    `passes` UInt64 COMMENT 'Decided passes of it that were compared',
    `low_feedback` Nullable(Float64) COMMENT 'Share of low answers about it; see v_feedback.low',
    `low_feedback_comparable` Nullable(Float64) COMMENT 'The same of answers of these kinds about other touchpoints',
    `low_feedback_low` Nullable(Float64) COMMENT 'Interval of the difference, for all touchpoints together: low',
    `low_feedback_high` Nullable(Float64) COMMENT 'And high',
    `answers` UInt64 COMMENT 'Answers about it that were compared',
    `repeats` Nullable(Float64) COMMENT 'Share of passes that are followed by the same touchpoint',
    `repeats_comparable` Nullable(Float64) COMMENT 'The same among comparable passes',
    `waits` Nullable(Float64) COMMENT 'Share that waits longer for what comes next than nine of ten at that stage',
    `waits_comparable` Nullable(Float64) COMMENT 'The same among comparable passes',
    `escalations` Nullable(Float64) COMMENT 'Share that is followed by the call center, from another channel',
    `escalations_comparable` Nullable(Float64) COMMENT 'The same among comparable passes',
    `since` DateTime64(3, 'UTC') COMMENT 'Journeys that started from then on',
    `computed_at` DateTime64(3, 'UTC') COMMENT 'As things stood then'
)
COMMENT 'Touchpoints ranked by pain, of the last 30 days. Prepared: minutes old.'
AS SELECT
    definition,
    place,
    channel,
    touchpoint,
    stage,
    hurts,
    severity,
    journeys,
    pain,
    lost,
    cost,
    drop_off,
    drop_off_comparable,
    drop_off_low,
    drop_off_high,
    passes,
    low_feedback,
    low_feedback_comparable,
    low_feedback_low,
    low_feedback_high,
    answers,
    repeats,
    repeats_comparable,
    waits,
    waits_comparable,
    escalations,
    escalations_comparable,
    since,
    computed_at
FROM pain_points
FINAL
WHERE (generation = (
    SELECT generation
    FROM live_generation
)) AND ((definition, computed_at) IN (
    SELECT
        definition,
        max(computed_at)
    FROM pain_points
    WHERE generation = (
        SELECT generation
        FROM live_generation
    )
    GROUP BY definition
));

CREATE VIEW v_person_aliases
(
    `old_person_id` UUID COMMENT 'An id that a customer had before; no touchpoint has it any more',
    `person_id` UUID COMMENT 'The id that this customer has now'
)
COMMENT 'Former ids of customers, for systems that kept them: join what they kept on old_person_id. Exact now.'
AS SELECT
    own_id AS old_person_id,
    person_id
FROM identities
FINAL
WHERE (generation = (
    SELECT generation
    FROM live_generation
)) AND (own_id NOT IN (person_id, toUUID('00000000-0000-0000-0000-000000000000'))) AND (own_id NOT IN (
    SELECT person_id
    FROM person_touchpoints
    FINAL
    WHERE (generation = (
        SELECT generation
        FROM live_generation
    )) AND (person_id IN (
        SELECT own_id
        FROM identities
        FINAL
        WHERE (generation = (
            SELECT generation
            FROM live_generation
        )) AND (own_id != person_id)
    ))
));

CREATE VIEW v_restatements
(
    `person_id` UUID COMMENT 'The customer that the touchpoint was counted with before',
    `event_id` UUID COMMENT 'The touchpoint; joins v_touchpoint_facts',
    `to_person_id` Nullable(UUID) COMMENT 'Whose it is now; NULL: nobody\'s, it was retracted or erased',
    `cause` LowCardinality(String) COMMENT 'Why it left: named, merge, split, correction, erasure',
    `at` DateTime64(3, 'UTC') COMMENT 'When what made it leave arrived',
    `revision` UInt32 COMMENT 'Revision of the touchpoint with which it left',
    `move` UInt32 COMMENT 'Its number among the changes of owner of this revision'
)
COMMENT 'Touchpoints that were counted with another customer before, one row per customer that each has left. Exact now.'
AS SELECT
    person_id,
    event_id,
    nullIf(owner, toUUID('00000000-0000-0000-0000-000000000000')) AS to_person_id,
    why AS cause,
    left_at AS at,
    toUInt32(bitShiftRight(left_with, 32)) AS revision,
    toUInt32(bitAnd(left_with, 4294967295)) AS move
FROM
(
    SELECT
        person_id,
        event_id,
        argMax(person_touchpoints.cause, version) AS why,
        argMax(arrived_at, version) AS left_at,
        max(version) AS left_with
    FROM person_touchpoints
    WHERE (generation = (
        SELECT generation
        FROM live_generation
    )) AND is_deleted
    GROUP BY
        person_id,
        event_id
) AS gone
LEFT JOIN
(
    SELECT
        event_id,
        argMax(person_id, version) AS owner
    FROM person_touchpoints
    FINAL
    WHERE (generation = (
        SELECT generation
        FROM live_generation
    )) AND (event_id IN (
        SELECT event_id
        FROM person_touchpoints
        WHERE (generation = (
            SELECT generation
            FROM live_generation
        )) AND is_deleted
    ))
    GROUP BY event_id
) AS present USING (event_id)
WHERE notEmpty(why) AND (owner != person_id);

CREATE VIEW v_sessions
(
    `person_id` UUID COMMENT 'The customer',
    `started_at` DateTime64(3, 'UTC') COMMENT 'Time of the first touchpoint',
    `ended_at` DateTime64(3, 'UTC') COMMENT 'Time of the last touchpoint',
    `touchpoints` UInt32 COMMENT 'How many',
    `channels` Array(LowCardinality(String)) COMMENT 'Their channels in order, repeats collapsed',
    `path` Array(LowCardinality(String)) COMMENT 'Their names in order'
)
COMMENT 'Visits: a customer\'s touchpoints over all channels, cut where nothing happened for more than 30 minutes. Exact now.'
AS SELECT
    person_id,
    tupleElement(visit[1], 1) AS started_at,
    tupleElement(visit[-1], 1) AS ended_at,
    toUInt32(length(visit)) AS touchpoints,
    arrayCompact(arrayMap(one -> tupleElement(one, 4), visit)) AS channels,
    arrayMap(one -> tupleElement(one, 5), visit) AS path
FROM
(
    SELECT
        person_id,
        arrayJoin(arraySplit((one, gap) -> (gap > 1800000), touched, gaps)) AS visit
    FROM
    (
        SELECT
            person_id,
            arraySort(groupArray((occurred_at, sequence, event_id, channel, name))) AS touched,
            arrayDifference(arrayMap(one -> toUnixTimestamp64Milli(tupleElement(one, 1)), touched)) AS gaps
        FROM person_touchpoints
        FINAL
        WHERE generation = (
            SELECT generation
            FROM live_generation
        )
        GROUP BY person_id
    )
);

CREATE VIEW v_stages
(
    `definition` LowCardinality(String) COMMENT 'Journey of journeys.yaml',
    `stage` UInt8 COMMENT 'Rank, from 1',
    `name` LowCardinality(String) COMMENT 'Name of the stage',
    `patience_ms` UInt64 COMMENT 'Longer silence after it is a drop-off, in ms',
    `is_goal` Bool COMMENT 'Reaching it completes the journey'
)
COMMENT 'The stages of each journey definition. Exact now.'
AS SELECT
    definition,
    stage,
    name,
    patience_ms,
    is_goal
FROM stages
FINAL
WHERE generation = (
    SELECT generation
    FROM live_generation
);

CREATE VIEW v_touchpoint_facts
(
    `event_id` UUID COMMENT 'The touchpoint; joins v_touchpoints',
    `source` LowCardinality(String) COMMENT 'Who sent it',
    `source_event_id` String COMMENT 'The id that the source gave it; empty: none',
    `address` String COMMENT 'Its key in Kafka: home identifier, or event id if it has a revision',
    `identifiers` Map(LowCardinality(String), String) COMMENT 'Kind → value, normalised',
    `channel` LowCardinality(String) COMMENT 'Where it happened',
    `name` LowCardinality(String) COMMENT 'What happened',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'When it happened, UTC, after correction of the clock',
    `received_at` DateTime64(3, 'UTC') COMMENT 'When the collector or the import took it',
    `sent_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'When the client sent it, by its own clock',
    `clock` LowCardinality(String) COMMENT 'How occurred_at came about: as_sent, corrected, clamped, received',
    `stream` String COMMENT 'What the sequence counts: a device, a file and customer',
    `sequence` Nullable(Int32) COMMENT 'Number within its stream, from 0',
    `revision` UInt32 COMMENT 'The highest revision is the one shown',
    `page` String COMMENT 'Address of the page or screen',
    `referrer` String COMMENT 'Address that the customer came from',
    `campaign` LowCardinality(String) COMMENT 'Marketing campaign',
    `store` LowCardinality(String) COMMENT 'Physical store',
    `agent` LowCardinality(String) COMMENT 'Employee who served the customer',
    `queue` LowCardinality(String) COMMENT 'Queue of the call center',
    `device` LowCardinality(String) COMMENT 'Device or browser',
    `locale` LowCardinality(String) COMMENT 'Language and region',
    `amount` Int64 COMMENT 'Money in minor units of the currency; never add up over currencies',
    `currency` LowCardinality(String) COMMENT 'ISO 4217; empty: no money',
    `feedback` LowCardinality(String) COMMENT 'Kind of feedback: nps, csat, ces, stars, text; empty: none',
    `score` Nullable(Int8) COMMENT 'Score in the scale of its kind',
    `sentiment` LowCardinality(String) COMMENT 'Of the text, by the source',
    `feedback_text` String COMMENT 'What the customer said',
    `feedback_about` String COMMENT 'The source\'s id of the touchpoint that the feedback is about',
    `consent_analytics` Nullable(Bool) COMMENT 'Consent to analytics, if the source said so',
    `consent_marketing` Nullable(Bool) COMMENT 'Consent to marketing, if the source said so',
    `properties` String COMMENT 'Everything else, as JSON; read it with JSONExtract'
)
COMMENT 'One row per live touchpoint with everything its source said. Exact now. Holds plain identifiers.'
AS SELECT
    event_id,
    source,
    source_event_id,
    address,
    identifiers,
    channel,
    name,
    occurred_at,
    received_at,
    sent_at,
    clock,
    stream,
    sequence,
    revision,
    page,
    referrer,
    campaign,
    store,
    agent,
    queue,
    device,
    locale,
    amount,
    currency,
    feedback,
    score,
    sentiment,
    feedback_text,
    feedback_about,
    consent_analytics,
    consent_marketing,
    properties
FROM touchpoints
FINAL;

CREATE VIEW v_touchpoints
(
    `person_id` UUID COMMENT 'The customer; ids change when two customers turn out to be one',
    `event_id` UUID COMMENT 'The touchpoint; joins v_touchpoint_facts',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'When it happened, UTC, after correction of the clock',
    `sequence` Nullable(Int32) COMMENT 'Order within its stream where times are equal',
    `channel` LowCardinality(String) COMMENT 'Where it happened: web, store, call_center, …',
    `name` LowCardinality(String) COMMENT 'What happened',
    `stages` Array(UInt8) COMMENT 'Rank of its stage per journey definition, in the order of journeys.yaml; 0: none',
    `amount` Int64 COMMENT 'Money in minor units of the currency; negative: refund; never add up over currencies',
    `currency` LowCardinality(String) COMMENT 'ISO 4217; empty: no money',
    `feedback` LowCardinality(String) COMMENT 'Kind of feedback: nps, csat, ces, stars, text; empty: none',
    `score` Nullable(Int8) COMMENT 'Score in the scale of its kind',
    `sentiment` LowCardinality(String) COMMENT 'Of the text: negative, neutral, positive; empty: none',
    `arrived_at` DateTime64(3, 'UTC') COMMENT 'When Kafka stored it'
)
COMMENT 'One row per live touchpoint with its customer, merges applied. Exact now.'
AS SELECT
    person_id,
    event_id,
    occurred_at,
    nullIf(sequence, -1) AS sequence,
    channel,
    name,
    arrayMap(rule -> bitAnd(rule, 63), rules) AS stages,
    amount,
    currency,
    feedback,
    nullIf(score, -1) AS score,
    sentiment,
    arrived_at
FROM person_touchpoints
FINAL
WHERE generation = (
    SELECT generation
    FROM live_generation
);

CREATE VIEW v_transitions
(
    `definition` LowCardinality(String) COMMENT 'Journey of journeys.yaml',
    `day` Date COMMENT 'Day (UTC) on which the journeys started',
    `entry_channel` LowCardinality(String) COMMENT 'Channel of their first touchpoint',
    `touchpoint` LowCardinality(String) COMMENT 'Name of a touchpoint',
    `next_touchpoint` LowCardinality(String) COMMENT 'Name of the one that follows it directly in the same journey',
    `transitions` UInt64 COMMENT 'How often; add up over days and channels'
)
COMMENT 'Directly-follows pairs of touchpoints within a journey (first 2,000 steps). Exact now; v_daily_transitions is faster.'
AS SELECT
    definition,
    toDate(started_at) AS day,
    entry_channel,
    touchpoint,
    next_touchpoint,
    count() AS transitions
FROM
(
    SELECT
        definition,
        started_at,
        entry_channel,
        path_touchpoint
    FROM journeys
    FINAL
    WHERE generation = (
        SELECT generation
        FROM live_generation
    )
)
ARRAY JOIN
    arrayPopBack(path_touchpoint) AS touchpoint,
    arrayPopFront(path_touchpoint) AS next_touchpoint
GROUP BY
    definition,
    day,
    entry_channel,
    touchpoint,
    next_touchpoint;

