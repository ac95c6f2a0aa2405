-- Every stored row of the given touchpoints, touchpoint by touchpoint, by rising version. Append time: 0001_touchpoints.sql.
SELECT
    event_id, version, toInt64(281474976710655 - bitAnd(bitShiftRight(version, 48), 281474976710655)),
    toUnixTimestamp64Milli(occurred_at), ifNull(sequence, -1), source, identifiers, is_deleted
FROM touchpoints
WHERE event_id IN (SELECT value FROM given)
ORDER BY event_id, version
