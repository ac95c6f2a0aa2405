-- What was rewritten since, within or without the last two days (UTC); days as the buckets of the daily rollups.
SELECT definition, hour, written_at
FROM dirty_hours
WHERE written_at > %(since)s AND (hour >= toStartOfDay(now('UTC'), 'UTC') - INTERVAL 2 DAY) = %(recent)s
ORDER BY hour
