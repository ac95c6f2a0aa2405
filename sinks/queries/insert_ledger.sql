-- A row per decision. `_offset` is put in front of each record by the sink.
INSERT INTO ledger (leg, generation, partition, source, hour, decision, touchpoints, version)
SELECT leg, generation, partition, source, toDateTime(intDiv(hour, 1000), 'UTC'), decision, touchpoints, _offset
FROM input('
    leg LowCardinality(String), generation UInt32, partition UInt32, source LowCardinality(String), hour Int64,
    counts Map(String, Int64), _offset UInt64')
ARRAY JOIN mapKeys(counts) AS decision, mapValues(counts) AS touchpoints
FORMAT JSONEachRow
