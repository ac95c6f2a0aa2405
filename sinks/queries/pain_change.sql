-- Passes of a touchpoint, and of others at the same stages, before and after a moment, by hour of the week. Who fell silent counts,
-- back or not: so both sides had the same time for it.
WITH steps AS (<steps>)
SELECT
    touchpoint = {touchpoint:String} AND ({channel:String} = '' OR channel = {channel:String}) AS here, at >= {moment:Int64} AS later,
    toDayOfWeek(fromUnixTimestamp64Milli(at, 'UTC'), 0, {zone:String}) * 24 + toHour(fromUnixTimestamp64Milli(at, 'UTC'), {zone:String}) AS hour,
    count() AS passes, countIf(fell_silent)
FROM steps
WHERE stage IN (SELECT stage FROM steps WHERE touchpoint = {touchpoint:String} AND ({channel:String} = '' OR channel = {channel:String}))
GROUP BY here, later, hour
ORDER BY here, later, hour
