-- Who did what. Rules for every table: rows are absolute and versioned; the sort key holds only what the row's identity
-- fixes for ever; times are DateTime64(3, 'UTC'); no skip index on a column that a rewrite may change.

-- The full facts, as they came. One row per event whatever a revision, a resend or another correction of the clock does to
-- its time: so the key is the event alone (docs/decisions/clickhouse-writes.md). The highest revision counts; of equal
-- revisions the first that was appended: version = revision << 96 | (2^48 - 1 - append time in ms) << 48 | (2^48 - 1 - offset).
CREATE TABLE IF NOT EXISTS touchpoints
(
    event_id          UUID CODEC(NONE),
    source            LowCardinality(String),
    source_event_id   String CODEC(ZSTD(1)),
    address           String CODEC(ZSTD(1)),
    identifiers       Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    channel           LowCardinality(String),
    name              LowCardinality(String),
    occurred_at       DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    received_at       DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    sent_at           Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    clock             LowCardinality(String),
    stream            String CODEC(ZSTD(1)),
    sequence          Nullable(Int32) CODEC(ZSTD(1)),
    revision          UInt32 CODEC(ZSTD(1)),
    page              String CODEC(ZSTD(1)),
    referrer          String CODEC(ZSTD(1)),
    campaign          LowCardinality(String),
    store             LowCardinality(String),
    agent             LowCardinality(String),
    queue             LowCardinality(String),
    device            LowCardinality(String),
    locale            LowCardinality(String),
    amount            Int64 CODEC(ZSTD(1)),
    currency          LowCardinality(String),
    feedback          LowCardinality(String),
    score             Nullable(Int8) CODEC(ZSTD(1)),
    sentiment         LowCardinality(String),
    feedback_text     String CODEC(ZSTD(1)),
    feedback_about    String CODEC(ZSTD(1)),
    consent_analytics Nullable(Bool) CODEC(ZSTD(1)),
    consent_marketing Nullable(Bool) CODEC(ZSTD(1)),
    properties        String CODEC(ZSTD(1)),
    version           UInt128 CODEC(ZSTD(1)),
    is_deleted        UInt8,
    CONSTRAINT complete CHECK notEmpty(name) AND notEmpty(channel) AND event_id != toUUID('00000000-0000-0000-0000-000000000000'),
    CONSTRAINT occurred_in_time CHECK occurred_at >= toDateTime64('1990-01-01', 3, 'UTC')
        AND occurred_at < toDateTime64('2201-01-01', 3, 'UTC'),
    CONSTRAINT received_in_time CHECK received_at >= toDateTime64('1990-01-01', 3, 'UTC')
        AND received_at < toDateTime64('2201-01-01', 3, 'UTC')
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY event_id
SETTINGS old_parts_lifetime = 60;

-- Whose touchpoint it is, with what a timeline and a journey need of it. Giving a touchpoint to another person writes a
-- tombstone for the old owner and a row for the new one; version = revision << 32 | move, both from its home.
CREATE TABLE IF NOT EXISTS person_touchpoints
(
    person_id   UUID CODEC(ZSTD(1)),
    event_id    UUID CODEC(NONE),
    occurred_at DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    sequence    Int32 CODEC(ZSTD(1)),
    channel     LowCardinality(String),
    name        LowCardinality(String),
    rules       Array(UInt8) CODEC(ZSTD(1)),
    amount      Int64 CODEC(ZSTD(1)),
    currency    LowCardinality(String),
    feedback    LowCardinality(String),
    score       Int8 CODEC(ZSTD(1)),
    sentiment   LowCardinality(String),
    arrived_at  DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    version     UInt64 CODEC(T64, ZSTD(1)),
    is_deleted  UInt8,
    CONSTRAINT complete CHECK person_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND event_id != toUUID('00000000-0000-0000-0000-000000000000'),
    CONSTRAINT in_time CHECK is_deleted
        OR (occurred_at >= toDateTime64('1990-01-01', 3, 'UTC') AND occurred_at < toDateTime64('2201-01-01', 3, 'UTC'))
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (person_id, event_id)
SETTINGS index_granularity = 1024, old_parts_lifetime = 60;

-- Identifier (kind:value) → person. The latest `at` counts; of equal times the later record of the log.
CREATE TABLE IF NOT EXISTS identities
(
    identifier String CODEC(ZSTD(1)),
    person_id  UUID,
    at         DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    source     LowCardinality(String),
    version    UInt128 CODEC(ZSTD(1)),
    CONSTRAINT complete CHECK notEmpty(identifier) AND person_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = ReplacingMergeTree(version)
ORDER BY identifier
SETTINGS index_granularity = 1024, old_parts_lifetime = 60;
