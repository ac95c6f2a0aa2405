-- What was not accepted, whole. `position` is what redelivery does not change: the record's place in the topic; for what
-- the sink itself refused (and may refuse again after a restart) the address of the refused record.
CREATE TABLE IF NOT EXISTS dead_letters
(
    at       DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    source   LowCardinality(String),
    leg      LowCardinality(String),
    reason   LowCardinality(String),
    path     LowCardinality(String),
    message  String CODEC(ZSTD(1)),
    address  String CODEC(ZSTD(1)),
    record   String CODEC(ZSTD(3)),
    bytes    UInt64 CODEC(T64, ZSTD(1)),
    sha256   String CODEC(ZSTD(1)),
    position String CODEC(ZSTD(1)),
    CONSTRAINT complete CHECK notEmpty(reason) AND notEmpty(leg)
)
ENGINE = ReplacingMergeTree
ORDER BY position
SETTINGS old_parts_lifetime = 60;
