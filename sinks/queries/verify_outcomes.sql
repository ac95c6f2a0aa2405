-- What had happened before `as_of` and stands.
SELECT
    lower(hex(UUIDToNum(outcome_id))) AS id, lower(hex(UUIDToNum(journey_id))), lower(hex(UUIDToNum(person_id))), definition,
    CAST(kind, 'String'), toUnixTimestamp64Milli(at), stage, channel, touchpoint
FROM outcomes FINAL
WHERE generation = (SELECT generation FROM live_generation) AND NOT retracted AND toUnixTimestamp64Milli(at) < {as_of:Int64}
ORDER BY id
SETTINGS max_bytes_before_external_sort = 1000000000
