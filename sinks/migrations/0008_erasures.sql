-- Forgetting people: what is being deleted, what was, and what the ledger must still count of it. Nothing here is a plain
-- identifier: people and identifiers are their keyed hashes, touchpoints and journeys their ids.

-- What an erasure is about to delete, while it runs; its partition is dropped when it has ended. Mutations say only this
-- table's name, because ClickHouse keeps their text.
CREATE TABLE IF NOT EXISTS erasing
(
    erasure_id String,
    what       LowCardinality(String),
    person_id  UUID,
    id         UUID,
    version    UInt128,
    position   String
)
ENGINE = MergeTree
PARTITION BY erasure_id
ORDER BY (what, id, version, position)
SETTINGS old_parts_lifetime = 60, cleanup_delay_period = 10, max_cleanup_delay_period = 10;

-- Receipts: who was erased when, by whose order, what was deleted where, and when the last bytes leave Kafka.
CREATE TABLE IF NOT EXISTS erasures
(
    erasure_id      String,
    person_id       UUID,
    at              DateTime64(3, 'UTC'),
    because         LowCardinality(String),
    ordered_by      LowCardinality(String),
    removed         Map(LowCardinality(String), UInt64),
    finished_at     Nullable(DateTime64(3, 'UTC')),
    logs_until      DateTime64(3, 'UTC'),
    compacted_until DateTime64(3, 'UTC'),
    version         UInt64,
    CONSTRAINT complete CHECK notEmpty(erasure_id)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (erasure_id, person_id);

CREATE VIEW IF NOT EXISTS v_erasures
(
    erasure_id      String COMMENT 'The erasure; it may be of several customers',
    person_id       UUID COMMENT 'The customer: a keyed hash, all that is left',
    at              DateTime64(3, 'UTC') COMMENT 'What occurred up to then was erased, and stays away whenever it arrives',
    because         LowCardinality(String) COMMENT 'request, consent (it was withdrawn) or retention (its period is over)',
    ordered_by      LowCardinality(String) COMMENT 'Who ran the command',
    removed         Map(LowCardinality(String), UInt64) COMMENT 'Table → what was deleted there: touchpoints, journeys, identifiers, …',
    finished_at     Nullable(DateTime64(3, 'UTC')) COMMENT 'When nothing was left in ClickHouse; NULL: it broke off, run it again',
    logs_until      DateTime64(3, 'UTC') COMMENT 'When retention has deleted the last of it from the logs in Kafka',
    compacted_until DateTime64(3, 'UTC') COMMENT 'When compaction has deleted the last of it from the compacted topics'
)
AS SELECT erasure_id, person_id, at, because, ordered_by, removed, finished_at, logs_until, compacted_until
FROM erasures FINAL
COMMENT 'Who was erased, when and why, what was deleted where, and when the logs have forgotten it too. Exact now.';

-- What was erased still arrived: without its number its stream would have a gap, and what the collector or an import had
-- refused would have vanished. A touchpoint's decision is in the ledger already; `uncounted` are those dead letters.
CREATE TABLE IF NOT EXISTS erased
(
    id        UUID,
    source    LowCardinality(String),
    arrived   DateTime64(3, 'UTC'),
    stream    FixedString(16),
    sequence  Nullable(Int32),
    uncounted Bool
)
ENGINE = ReplacingMergeTree
ORDER BY id;

-- A stream may be named like a device: its hash has a key, of this database alone.
CREATE TABLE IF NOT EXISTS erased_key
(
    key_0 UInt64,
    key_1 UInt64
)
ENGINE = MergeTree
ORDER BY key_0;

INSERT INTO erased_key SELECT rand64(0), rand64(1) WHERE (SELECT count() FROM erased_key) = 0;

-- Parts that a mutation or a merge has replaced may go after a minute (old_parts_lifetime). By default they are looked for twice a
-- minute to once in five minutes: measured, they were gone after 140 to more than 200 s; so after 60.
ALTER TABLE touchpoints MODIFY SETTING cleanup_delay_period = 10, max_cleanup_delay_period = 10;

ALTER TABLE person_touchpoints MODIFY SETTING cleanup_delay_period = 10, max_cleanup_delay_period = 10;

ALTER TABLE identities MODIFY SETTING cleanup_delay_period = 10, max_cleanup_delay_period = 10;

ALTER TABLE journeys MODIFY SETTING cleanup_delay_period = 10, max_cleanup_delay_period = 10;

ALTER TABLE journeys_by_person MODIFY SETTING cleanup_delay_period = 10, max_cleanup_delay_period = 10;

ALTER TABLE outcomes MODIFY SETTING cleanup_delay_period = 10, max_cleanup_delay_period = 10;

ALTER TABLE dead_letters MODIFY SETTING cleanup_delay_period = 10, max_cleanup_delay_period = 10;

CREATE OR REPLACE VIEW v_ledger
(
    source     LowCardinality(String) COMMENT 'Who sent it; unknown: it cannot be read',
    hour       DateTime('UTC') COMMENT 'Hour of arrival',
    sent       Int64 COMMENT 'Everything that arrived or must have been sent: the sum of the others',
    stored     Int64 COMMENT 'Touchpoints, each once, in the hour of its first revision; retracted ones too',
    superseded Int64 COMMENT 'Revisions beside the first of a touchpoint: of all of them one stands',
    late       Int64 COMMENT 'Kept, but came after the horizon and is in no journey',
    duplicate  Int64 COMMENT 'Came again with equal content',
    rejected   Int64 COMMENT 'Is in v_dead_letters',
    erased     Int64 COMMENT 'Was erased on request',
    missing    Int64 COMMENT 'Gaps in the numbers (sequence, from 0) of a stream, in the hour of the next that arrived'
)
AS SELECT
    source, hour,
    n_stored + n_superseded + n_late + n_duplicate + n_rejected + n_erased + n_missing AS sent, n_stored AS stored,
    n_superseded AS superseded, n_late AS late, n_duplicate AS duplicate, n_rejected AS rejected, n_erased AS erased,
    n_missing AS missing
FROM
(
    SELECT
        source, hour, sumIf(n, decision = 'stored') AS n_stored, sumIf(n, decision = 'superseded') AS n_superseded,
        sumIf(n, decision = 'late') AS n_late, sumIf(n, decision = 'duplicate') AS n_duplicate,
        sumIf(n, decision = 'rejected') AS n_rejected, sumIf(n, decision = 'erased') AS n_erased,
        sumIf(n, decision = 'missing') AS n_missing
    FROM
    (
        SELECT source, hour, CAST(decision, 'String') AS decision, touchpoints AS n
        FROM ledger FINAL WHERE generation = (SELECT generation FROM live_generation)
        UNION ALL
        SELECT source, toStartOfHour(at, 'UTC') AS hour, 'rejected' AS decision, toInt64(1) AS n
        FROM dead_letters FINAL WHERE leg IN ('collector', 'import')
        UNION ALL
        SELECT source, toStartOfHour(arrived, 'UTC') AS hour, 'erased' AS decision, toInt64(1) AS n
        FROM erased FINAL WHERE uncounted
        UNION ALL
        SELECT source, toStartOfHour(tupleElement(gap, 2), 'UTC') AS hour, 'missing' AS decision, tupleElement(gap, 1) AS n
        FROM
        (
            SELECT
                source, stream, arraySort(groupArray((number, arrived))) AS seen,
                arrayMap(one -> tupleElement(one, 1), seen) AS numbers,
                arrayFilter(
                    gap -> tupleElement(gap, 1) > 0,
                    arrayMap(
                        (one, before) -> (tupleElement(one, 1) - before - 1, tupleElement(one, 2)),
                        seen, arrayPushFront(arrayPopBack(numbers), toInt64(-1))
                    )
                ) AS gaps
            FROM
            (
                SELECT
                    source, sipHash128Keyed((SELECT tuple(min(key_0), min(key_1)) FROM erased_key), stream) AS stream,
                    toInt64(assumeNotNull(sequence)) AS number,
                    fromUnixTimestamp64Milli(
                        toInt64(281474976710655 - bitAnd(bitShiftRight(version, 48), 281474976710655)), 'UTC'
                    ) AS arrived
                FROM
                (
                    SELECT source, stream, sequence, version FROM touchpoints FINAL
                    UNION ALL
                    SELECT source, stream, sequence, version FROM touchpoints WHERE is_deleted
                )
                WHERE sequence IS NOT NULL
                UNION ALL
                SELECT
                    source,
                    sipHash128Keyed((SELECT tuple(min(key_0), min(key_1)) FROM erased_key), JSONExtractString(record, 'stream')),
                    JSONExtractInt(record, 'sequence') AS number, at
                FROM dead_letters FINAL
                WHERE JSONType(record, 'sequence') IN ('Int64', 'UInt64') AND number BETWEEN 0 AND 2147483647
                UNION ALL
                SELECT source, stream, toInt64(assumeNotNull(sequence)) AS number, arrived
                FROM erased FINAL WHERE sequence IS NOT NULL
            )
            GROUP BY source, stream
        )
        ARRAY JOIN gaps AS gap
    )
    GROUP BY source, hour
)
COMMENT 'What became of everything that was sent, per source and hour of arrival; add up as you like. Exact now.';
