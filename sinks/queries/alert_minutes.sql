-- What happened in the minutes from `first` to `last`, per series: entered; moved on, by how many minutes before they had
-- entered; decided (the last touchpoint is one patience old) and, of those, dropped off.
SELECT
    tupleElement(happened, 1) AS minute, definition, stage, tupleElement(happened, 2) AS channel,
    tupleElement(happened, 3) AS kind, tupleElement(happened, 4) AS age, count() AS stays
FROM
(
    SELECT
        definition, stage, intDiv(patience_ms, 60000) AS patience,
        arrayJoin([
            (toInt64(began), began_in, 'entered', toInt64(0)),
            (if(moved_on, toInt64(moved), -1), began_in, 'moved_on', toInt64(moved) - toInt64(began)),
            (if(may_drop_off, toInt64(last_heard + patience), -1), last_in, 'decided', toInt64(0)),
            (if(dropped_off, toInt64(last_heard + patience), -1), last_in, 'dropped', toInt64(0))
        ]) AS happened
    FROM (<stays>)
)
WHERE minute BETWEEN {first:Int64} AND {last:Int64}
GROUP BY minute, definition, stage, channel, kind, age
ORDER BY minute
