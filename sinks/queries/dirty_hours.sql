-- What was rewritten since, and what fell due since without being rewritten, within or without the last two days (UTC). A
-- journey that was rewritten meanwhile may be named too: a bucket refreshed once too often is right all the same.
SELECT generation, definition, hour, written_at
FROM dirty_hours
WHERE written_at > %(since)s AND (hour >= toStartOfDay(now('UTC'), 'UTC') - INTERVAL 2 DAY) = %(recent)s
UNION DISTINCT
SELECT generation, definition, toStartOfHour(started_at) AS hour, toDateTime64(due_at, 6, 'UTC') AS written_at
FROM journeys
WHERE status IN ('open', 'recovered') AND due_at > %(since)s AND due_at <= now64(3, 'UTC')
    AND (started_at >= toStartOfDay(now('UTC'), 'UTC') - INTERVAL 2 DAY) = %(recent)s
ORDER BY hour
