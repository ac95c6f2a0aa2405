-- The live touchpoints that carry strong identifiers: some of them may be erased, which is known by hashes alone.
SELECT
    lower(hex(UUIDToNum(event_id))) AS event, toUnixTimestamp64Milli(occurred_at) AS at,
    arrayMap(
        kind -> concat(kind, ':', identifiers[kind]), arrayFilter(kind -> mapContains(identifiers, kind), {strong:Array(String)})
    ) AS names
FROM touchpoints FINAL
WHERE notEmpty(names)
