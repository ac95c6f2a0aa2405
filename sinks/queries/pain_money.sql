-- Journeys that reached their goal, and what they brought in by currency, in minor units.
SELECT count(), sumMap(value)
FROM journeys FINAL
WHERE generation = (SELECT generation FROM live_generation) AND definition = {definition:String} AND status = 'completed'
    AND started_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') AND started_at <= fromUnixTimestamp64Milli({now:Int64}, 'UTC')
