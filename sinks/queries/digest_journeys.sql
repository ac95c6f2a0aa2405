-- The silence that has not ended is left out and the status told by its deadline, so that a row written before the deadline
-- and one written after it say the same.
SELECT
    toJSONString((
        journey_id, person_id, definition, definition_version, toUnixTimestamp64Milli(started_at),
        toUnixTimestamp64Milli(last_at),
        multiIf(
            status = 'completed', 'completed',
            toUnixTimestamp64Milli(due_at) > 0 AND toUnixTimestamp64Milli(due_at) < {as_of:Int64}, 'dropped_off',
            ended > 0, 'recovered', 'open'
        ),
        stage, furthest_stage, stages, toUnixTimestamp64Milli(completed_at), toUnixTimestamp64Milli(due_at), touchpoints,
        entry_channel, mapSort(value), peak_end,
        arrayMap(at -> toUnixTimestamp64Milli(at), arraySlice(drop_off_at, 1, ended)), arraySlice(drop_off_stage, 1, ended),
        arraySlice(drop_off_step, 1, ended), arrayMap(at -> toUnixTimestamp64Milli(at), arraySlice(recovered_at, 1, ended)),
        feedback_kind, feedback_score, feedback_step, arrayMap(at -> toUnixTimestamp64Milli(at), path_time), path_channel,
        path_touchpoint, path_stage
    )) AS line,
    ''
FROM
(
    SELECT *, arrayCount(at -> at > toDateTime64(0, 3, 'UTC'), recovered_at) AS ended
    FROM journeys FINAL
    WHERE generation = {generation:UInt16}
)
ORDER BY definition, started_at, journey_id
SETTINGS max_bytes_before_external_sort = 1000000000
