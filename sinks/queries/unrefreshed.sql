-- Recent hours and older ones are refreshed apart; verify_dirty.sql asks the same for the live generation.
WITH
    (SELECT max(seen_until) FROM refreshes FINAL WHERE rollups = 'recent') AS recent_until,
    (SELECT max(seen_until) FROM refreshes FINAL WHERE rollups = 'older') AS older_until
SELECT uniqExact(definition, hour)
FROM dirty_hours
WHERE generation = {generation:UInt16} AND written_at <= fromUnixTimestamp64Micro({before:Int64}, 'UTC')
    AND written_at > if(hour >= toStartOfDay(now('UTC'), 'UTC') - INTERVAL 2 DAY, recent_until, older_until)
    AND recent_until > toDateTime64(0, 6, 'UTC')
