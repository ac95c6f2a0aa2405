-- The live touchpoints by device. A touchpoint without a name is seen by its first device; one with names by every device it
-- carries, its home first; one without devices by its first name. What belongs to the touchpoint is told at home alone.
SELECT
    device, place = 1 AS at_home, lower(hex(UUIDToNum(event_id))) AS event, toUnixTimestamp64Milli(occurred_at) AS at,
    ifNull(sequence, -1) AS number, names, source, if(at_home, channel, '') AS told_channel,
    if(at_home, name, '') AS told_name, if(at_home, amount, 0) AS told_amount, if(at_home, currency, '') AS told_currency,
    if(at_home, feedback, '') AS told_feedback, ifNull(score, -1) AS told_score,
    if(at_home, sentiment, '') AS told_sentiment, if(at_home AND {rules_read:UInt8} > 0, properties, '') AS told_properties,
    toInt64(281474976710655 - bitAnd(bitShiftRight(version, 48), 281474976710655)) AS arrived
FROM
(
    SELECT
        event_id, occurred_at, sequence, source, channel, name, amount, currency, feedback, score, sentiment, properties,
        version,
        arrayMap(
            kind -> concat(kind, ':', identifiers[kind]),
            arrayFilter(kind -> mapContains(identifiers, kind), {strong:Array(String)})
        ) AS names,
        arrayMap(
            kind -> concat(kind, ':', identifiers[kind]),
            arrayFilter(kind -> mapContains(identifiers, kind), {weak:Array(String)})
        ) AS weak,
        multiIf(empty(weak), arraySlice(names, 1, 1), empty(names), arraySlice(weak, 1, 1), weak) AS devices
    FROM touchpoints FINAL
)
ARRAY JOIN devices AS device, arrayEnumerate(devices) AS place
ORDER BY device
SETTINGS max_bytes_before_external_sort = 1000000000
