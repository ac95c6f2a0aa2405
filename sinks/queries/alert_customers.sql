-- Whom an alert is about: those who entered (progress) or were last heard of (drop-off) in its minutes and did not go on; the
-- newest first, with their last steps there.
SELECT
    person_id, journey_id, toUnixTimestamp64Milli(path_time[last_step]) AS at,
    arrayMap(
        step -> concat(path_channel[step], '·', path_touchpoint[step]), range(toUInt64(greatest(1, last_step - 4)), toUInt64(last_step + 1))
    ) AS did
FROM (<stays>)
WHERE definition = {journey:String} AND stage = {stage:UInt8} AND NOT moved_on
    AND if({measure:String} = 'progress', began_in, last_in) = {channel:String}
    AND if({measure:String} = 'progress', began, last_heard) BETWEEN {first:Int64} AND {last:Int64}
ORDER BY at DESC, journey_id
LIMIT {most:UInt32}
