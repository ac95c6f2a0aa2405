-- What v_ledger must still know of rows that go: the numbers of touchpoints in their streams, and which dead letters there were.
INSERT INTO erased (id, source, arrived, stream, sequence, uncounted)
WITH (SELECT tuple(min(key_0), min(key_1)) FROM erased_key) AS key
SELECT
    event_id, any(source), min(fromUnixTimestamp64Milli(toInt64(281474976710655 - bitAnd(bitShiftRight(version, 48), 281474976710655)), 'UTC')),
    sipHash128Keyed(key, argMax(stream, version)), argMax(sequence, version) AS number, false
FROM touchpoints
WHERE event_id IN (SELECT id FROM erasing WHERE erasure_id = %(erasure)s AND what = 'event')
GROUP BY event_id
HAVING number IS NOT NULL
UNION ALL
SELECT
    reinterpretAsUUID(sipHash128(position)), source, at, sipHash128Keyed(key, JSONExtractString(record, 'stream')),
    if(
        JSONType(record, 'sequence') IN ('Int64', 'UInt64') AND JSONExtractInt(record, 'sequence') BETWEEN 0 AND 2147483647,
        toInt32(JSONExtractInt(record, 'sequence')), NULL
    ), leg IN ('collector', 'import')
FROM dead_letters FINAL
WHERE position IN (SELECT position FROM erasing WHERE erasure_id = %(erasure)s AND what = 'letter')
