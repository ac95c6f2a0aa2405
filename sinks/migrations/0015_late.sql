-- What came after the horizon: a customer's journeys had left the state, so it is in none of them until a replay. A row for every
-- statement of that kind; it stands as long as it is the last that was said of the customer and the touchpoint.
CREATE TABLE IF NOT EXISTS late
(
    person_id   UUID CODEC(ZSTD(1)),
    event_id    UUID CODEC(NONE),
    occurred_at DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    closed_at   DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    arrived_at  DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    cause       LowCardinality(String),
    version     UInt64 CODEC(T64, ZSTD(1)),
    generation  UInt16 DEFAULT 1,
    CONSTRAINT complete CHECK event_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = ReplacingMergeTree(version)
PRIMARY KEY (person_id, event_id)
ORDER BY (person_id, event_id, generation)
SETTINGS old_parts_lifetime = 60, cleanup_delay_period = 10, max_cleanup_delay_period = 10;

CREATE VIEW IF NOT EXISTS v_late
(
    person_id   UUID COMMENT 'Whose it is',
    event_id    UUID COMMENT 'The touchpoint',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it occurred, not after closed_at',
    closed_at   DateTime64(3, 'UTC') COMMENT 'Up to when the journeys of the customer are closed: none that began before can change',
    arrived_at  DateTime64(3, 'UTC') COMMENT 'When it arrived, was corrected or came to this customer',
    cause       LowCardinality(String) COMMENT 'Why it came to this customer: named, merge, split, correction; empty: it is the first owner'
)
AS SELECT person_id, event_id, occurred_at, closed_at, arrived_at, cause
FROM late FINAL
WHERE generation = (SELECT generation FROM live_generation) AND occurred_at > toDateTime64(0, 3, 'UTC')
    AND (person_id, event_id, version) IN
    (
        SELECT person_id, event_id, version FROM person_touchpoints FINAL
        WHERE generation = (SELECT generation FROM live_generation)
            AND (person_id, event_id) IN (SELECT person_id, event_id FROM late)
    )
COMMENT 'Touchpoints that are stored but in no journey until a replay: they came after the horizon of their customer. Exact now.';

CREATE OR REPLACE VIEW v_ledger
(
    source     LowCardinality(String) COMMENT 'Who sent it; unknown: it cannot be read',
    hour       DateTime('UTC') COMMENT 'Hour of arrival',
    sent       Int64 COMMENT 'Everything that arrived or must have been sent: the sum of the others',
    stored     Int64 COMMENT 'Touchpoints, each once, in the hour of its first revision; retracted ones too',
    superseded Int64 COMMENT 'Revisions beside the first of a touchpoint: of all of them one stands',
    late       Int64 COMMENT 'Kept, but came after the horizon of its customer: v_late',
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
        SELECT
            source,
            toStartOfHour(
                fromUnixTimestamp64Milli(toInt64(281474976710655 - bitAnd(bitShiftRight(version, 48), 281474976710655)), 'UTC'),
                'UTC'
            ) AS hour,
            tupleElement(instead, 1) AS decision, toInt64(tupleElement(instead, 2)) AS n
        FROM (SELECT source, version FROM touchpoints FINAL WHERE event_id IN (SELECT event_id FROM v_late))
        ARRAY JOIN [('late', 1), ('stored', -1)] AS instead
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
