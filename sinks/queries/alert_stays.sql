-- One row per stay (alerts/counts.py) of journeys that began from `oldest` on and had a touchpoint from `heard` on; minutes
-- since 1970. A silence beyond the stage's patience ends a stay as well: what follows is another one.
SELECT
    definition, person_id, journey_id, path_time, path_channel, path_touchpoint, tupleElement(stay, 1) AS first,
    tupleElement(stay, 2) AS next, next - 1 AS last, ranks[first] AS stage, path_channel[first] AS began_in,
    path_channel[last] AS last_in, minutes[first] AS began, minutes[last] AS last_heard,
    next <= length(ranks) AS followed, followed AND ranks[next] > stage AS moved_on, minutes[next] AS moved,
    path_time[last] < completed_at OR completed_at = toDateTime64(0, 3, 'UTC') AS may_drop_off,
    patience[stage] AS patience_ms,
    may_drop_off AND (NOT followed OR dateDiff('millisecond', path_time[last], path_time[next]) > patience_ms) AS dropped_off
FROM
(
    SELECT
        definition, person_id, journey_id, path_time, path_channel, path_touchpoint, completed_at, patience,
        arrayFill(rank -> rank > 0, path_stage) AS ranks,
        arrayMap(at -> intDiv(toUnixTimestamp64Milli(at), 60000), path_time) AS minutes,
        arrayFilter(
            step -> ranks[step] > 0 AND (
                step = 1 OR ranks[step] != ranks[step - 1]
                OR dateDiff('millisecond', path_time[step - 1], path_time[step]) > patience[ranks[step]]
            ),
            arrayEnumerate(ranks)
        ) AS firsts,
        arrayJoin(arrayZip(firsts, arrayPushBack(arrayPopFront(firsts), toUInt32(length(ranks) + 1)))) AS stay
    FROM
    (
        SELECT definition, person_id, journey_id, path_time, path_channel, path_touchpoint, path_stage, completed_at
        FROM journeys FINAL
        WHERE generation = (SELECT generation FROM live_generation)
            AND started_at >= fromUnixTimestamp64Milli({oldest:Int64} * 60000, 'UTC')
            AND last_at >= fromUnixTimestamp64Milli({heard:Int64} * 60000, 'UTC')
    ) AS told
    INNER JOIN
    (
        SELECT definition, mapFromArrays(groupArray(stage), groupArray(patience_ms)) AS patience FROM v_stages GROUP BY definition
    ) AS named USING (definition)
)
