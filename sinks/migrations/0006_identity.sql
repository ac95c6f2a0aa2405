-- Who is who, exactly: identifiers link people, touchpoints move with a cause, and a ledger says what became of everything.

-- `version` is the identity leg's own since this release, put above all of the release before: 1 << 120 | version. Those were
-- at << 64 + offset, and a row of them has no own_id. `source` is of that release too; nothing reads or writes it any more.
ALTER TABLE identities ADD COLUMN IF NOT EXISTS own_id UUID AFTER person_id;

ALTER TABLE identities ADD COLUMN IF NOT EXISTS shared Bool AFTER at;

-- Why it came from another person or went to one: named, merge, split, correction, erasure; empty for the first owner.
ALTER TABLE person_touchpoints ADD COLUMN IF NOT EXISTS cause LowCardinality(String) AFTER arrived_at;

-- What the legs decided, a row per decision, field for field schemas/ledger.py. A record of the topic replaces the earlier
-- ones of its key, and never holds fewer decisions than they; version is its offset.
CREATE TABLE IF NOT EXISTS ledger
(
    leg         LowCardinality(String),
    generation  UInt32,
    partition   UInt32,
    source      LowCardinality(String),
    hour        DateTime('UTC'),
    decision    LowCardinality(String),
    touchpoints Int64 CODEC(ZSTD(1)),
    version     UInt64 CODEC(T64, ZSTD(1)),
    CONSTRAINT complete CHECK notEmpty(leg) AND notEmpty(decision) AND hour >= toDateTime('1990-01-01 00:00:00', 'UTC')
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (leg, generation, partition, source, hour, decision);

CREATE VIEW IF NOT EXISTS v_identities
(
    identifier String COMMENT 'kind:value, normalised',
    person_id  UUID COMMENT 'The customer: of a name whom it belongs to, of a device who was named on it last',
    shared     Bool COMMENT 'It has too many partners or is blocked: it links and names nobody',
    at         DateTime64(3, 'UTC') COMMENT 'When this was learnt'
)
AS SELECT identifier, person_id, shared, at FROM identities FINAL
COMMENT 'Whose each identifier is. Exact now. Holds plain identifiers.';

CREATE VIEW IF NOT EXISTS v_person_aliases
(
    old_person_id UUID COMMENT 'An id that a customer had before; no touchpoint has it any more',
    person_id     UUID COMMENT 'The id that this customer has now'
)
AS SELECT own_id AS old_person_id, person_id
FROM identities FINAL
WHERE own_id NOT IN (person_id, toUUID('00000000-0000-0000-0000-000000000000'))
    AND own_id NOT IN
    (
        SELECT person_id FROM person_touchpoints FINAL
        WHERE person_id IN (SELECT own_id FROM identities FINAL WHERE own_id != person_id)
    )
COMMENT 'Former ids of customers, for systems that kept them: join what they kept on old_person_id. Exact now.';

CREATE VIEW IF NOT EXISTS v_restatements
(
    person_id    UUID COMMENT 'The customer that the touchpoint was counted with before',
    event_id     UUID COMMENT 'The touchpoint; joins v_touchpoint_facts',
    to_person_id Nullable(UUID) COMMENT 'Whose it is now; NULL: nobody''s, it was retracted or erased',
    cause        LowCardinality(String) COMMENT 'Why it left: named, merge, split, correction, erasure',
    at           DateTime64(3, 'UTC') COMMENT 'When what made it leave arrived',
    revision     UInt32 COMMENT 'Revision of the touchpoint with which it left',
    move         UInt32 COMMENT 'Its number among the changes of owner of this revision'
)
AS SELECT
    person_id, event_id, nullIf(owner, toUUID('00000000-0000-0000-0000-000000000000')) AS to_person_id, why AS cause,
    left_at AS at, toUInt32(bitShiftRight(left_with, 32)) AS revision, toUInt32(bitAnd(left_with, 4294967295)) AS move
FROM
(
    SELECT
        person_id, event_id, argMax(person_touchpoints.cause, version) AS why, argMax(arrived_at, version) AS left_at,
        max(version) AS left_with
    FROM person_touchpoints WHERE is_deleted
    GROUP BY person_id, event_id
) AS gone
LEFT JOIN
(
    SELECT event_id, argMax(person_id, version) AS owner
    FROM person_touchpoints FINAL
    WHERE event_id IN (SELECT event_id FROM person_touchpoints WHERE is_deleted)
    GROUP BY event_id
) AS present USING (event_id)
WHERE notEmpty(why) AND owner != person_id
COMMENT 'Touchpoints that were counted with another customer before, one row per customer that each has left. Exact now.';

-- An hour is the one in which Kafka stored the record; of touchpoints it is taken from `version` (0001_touchpoints.sql).
CREATE VIEW IF NOT EXISTS v_ledger
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
        FROM ledger FINAL WHERE generation = (SELECT max(generation) FROM ledger)
        UNION ALL
        SELECT source, toStartOfHour(at, 'UTC') AS hour, 'rejected' AS decision, toInt64(1) AS n
        FROM dead_letters FINAL WHERE leg IN ('collector', 'import')
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
                    source, stream, toInt64(assumeNotNull(sequence)) AS number,
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
                SELECT source, JSONExtractString(record, 'stream'), JSONExtractInt(record, 'sequence') AS number, at
                FROM dead_letters FINAL
                WHERE JSONType(record, 'sequence') IN ('Int64', 'UInt64') AND number BETWEEN 0 AND 2147483647
            )
            GROUP BY source, stream
        )
        ARRAY JOIN gaps AS gap
    )
    GROUP BY source, hour
)
COMMENT 'What became of everything that was sent, per source and hour of arrival; add up as you like. Exact now.';
