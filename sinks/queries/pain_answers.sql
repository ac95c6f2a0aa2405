-- What was answered about each touchpoint, by kind of feedback.
SELECT channel, touchpoint, kind, count(low) AS answers, toUInt64(ifNull(sum(low), 0))
FROM v_feedback
WHERE definition = {definition:String} AND about_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
    AND about_at <= fromUnixTimestamp64Milli({now:Int64}, 'UTC')
GROUP BY channel, touchpoint, kind
HAVING answers > 0
ORDER BY channel, touchpoint, kind
