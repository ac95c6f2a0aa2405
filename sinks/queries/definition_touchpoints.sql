-- What the stored touchpoints since `since` (ms) look like to rules of journeys, which read these properties (`keys`) of them.
SELECT
    channel, name, arrayMap(key -> JSONExtractRaw(properties, key), {keys:Array(String)}) AS read, count() AS touchpoints,
    max(toUnixTimestamp64Milli(occurred_at)) AS last_at
FROM touchpoints FINAL
WHERE occurred_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
GROUP BY channel, name, read
ORDER BY touchpoints DESC, channel, name, read
LIMIT {most:UInt64}
