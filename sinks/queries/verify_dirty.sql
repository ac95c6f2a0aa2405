-- Hours of start whose figures need not be right: rewritten or fallen due since their refresh, or since `since` (μs UTC).
WITH
    (SELECT max(seen_until) FROM refreshes FINAL WHERE rollups = 'recent') AS recent_until,
    (SELECT max(seen_until) FROM refreshes FINAL WHERE rollups = 'older') AS older_until
SELECT DISTINCT definition, toUnixTimestamp(hour)
FROM
(
    SELECT definition, hour, written_at AS at FROM dirty_hours
    WHERE generation = (SELECT generation FROM live_generation)
    UNION ALL
    SELECT definition, toStartOfHour(started_at) AS hour, toDateTime64(due_at, 6, 'UTC') AS at
    FROM journeys
    WHERE generation = (SELECT generation FROM live_generation) AND status IN ('open', 'recovered') AND due_at > toDateTime64(0, 3, 'UTC') AND due_at <= now64(3, 'UTC')
)
WHERE at > least(
    if(hour >= toStartOfDay(now('UTC'), 'UTC') - INTERVAL 2 DAY, recent_until, older_until),
    fromUnixTimestamp64Micro({since:Int64}, 'UTC')
)
