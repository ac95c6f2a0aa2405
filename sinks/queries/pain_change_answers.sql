-- Answers about a touchpoint before and after a moment, by kind and hour of the week of the touchpoint.
SELECT
    about_at >= fromUnixTimestamp64Milli({moment:Int64}, 'UTC') AS later, kind,
    toDayOfWeek(about_at, 0, {zone:String}) * 24 + toHour(about_at, {zone:String}) AS hour,
    count(low) AS answers, toUInt64(ifNull(sum(low), 0))
FROM v_feedback
WHERE definition = {definition:String} AND touchpoint = {touchpoint:String} AND ({channel:String} = '' OR channel = {channel:String})
    AND about_at >= fromUnixTimestamp64Milli({first:Int64}, 'UTC') AND about_at < fromUnixTimestamp64Milli({last:Int64}, 'UTC')
GROUP BY later, kind, hour
HAVING answers > 0
ORDER BY later, kind, hour
