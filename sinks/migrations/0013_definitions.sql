-- So that a file of journeys can be compared with those that are live: a hash of all that a definition says. Empty in rows of a
-- release before.
ALTER TABLE stages ADD COLUMN IF NOT EXISTS content LowCardinality(String);

CREATE OR REPLACE VIEW v_sessions
(
    person_id   UUID COMMENT 'The customer',
    started_at  DateTime64(3, 'UTC') COMMENT 'Time of the first touchpoint',
    ended_at    DateTime64(3, 'UTC') COMMENT 'Time of the last touchpoint',
    touchpoints UInt32 COMMENT 'How many',
    channels    Array(LowCardinality(String)) COMMENT 'Their channels in order, repeats collapsed',
    path        Array(LowCardinality(String)) COMMENT 'Their names in order'
)
AS SELECT
    person_id, tupleElement(visit[1], 1) AS started_at, tupleElement(visit[-1], 1) AS ended_at,
    toUInt32(length(visit)) AS touchpoints, arrayCompact(arrayMap(one -> tupleElement(one, 4), visit)) AS channels,
    arrayMap(one -> tupleElement(one, 5), visit) AS path
FROM
(
    SELECT person_id, arrayJoin(arraySplit((one, gap) -> gap > 1800000, touched, gaps)) AS visit
    FROM
    (
        SELECT
            person_id, arraySort(groupArray((occurred_at, sequence, event_id, channel, name))) AS touched,
            arrayDifference(arrayMap(one -> toUnixTimestamp64Milli(tupleElement(one, 1)), touched)) AS gaps
        FROM person_touchpoints FINAL
        WHERE generation = (SELECT generation FROM live_generation)
        GROUP BY person_id
    )
)
COMMENT 'Visits: a customer''s touchpoints over all channels, cut where nothing happened for more than 30 minutes. Exact now.';
