-- One row per stay (alerts/counts.py) of journeys that began from `oldest` on and in which something happened or fell due from
-- `first` to `last`; minutes since 1970. A silence beyond the stage's patience ends a stay as well: what follows is another one.
--
-- A lambda's captured columns are repeated for each element, so arrays go in as arguments, shifted where a step needs the one
-- before it, and patience is looked up among constants. That and leaving out early what does not matter make it fast.
WITH
    (SELECT groupUniqArray(definition) FROM v_stages) AS named,
    (
        SELECT (groupArray(toUInt32(indexOf(named, definition) * 64 + stage)), groupArray(toInt64(patience_ms))) FROM v_stages
    ) AS patiences
SELECT
    definition, person_id, journey_id, path_time, path_channel, path_touchpoint, tupleElement(stay, 1) AS first_step,
    tupleElement(stay, 2) AS next_step, next_step - 1 AS last_step, ranks[first_step] AS stage,
    path_channel[first_step] AS began_in, path_channel[last_step] AS last_in, intDiv(times[first_step], 60000) AS began,
    intDiv(times[last_step], 60000) AS last_heard, next_step <= length(ranks) AS followed,
    followed AND ranks[next_step] > stage AS moved_on, intDiv(times[next_step], 60000) AS moved,
    completed = 0 OR times[last_step] < completed AS may_drop_off, patience[first_step] AS patience_ms,
    may_drop_off AND (NOT followed OR times[next_step] - times[last_step] > patience_ms) AS dropped_off
FROM
(
    SELECT
        definition, person_id, journey_id, path_time, path_channel, path_touchpoint, completed, ranks, times, patience,
        arrayFilter(
            (step, rank, rank_before, at, at_before, patience_before) ->
                rank > 0 AND (rank != rank_before OR at - at_before > patience_before),
            arrayEnumerate(ranks), ranks, arrayPushFront(arrayPopBack(ranks), toUInt8(0)),
            times, arrayPushFront(arrayPopBack(times), toInt64(0)), arrayPushFront(arrayPopBack(patience), toInt64(0))
        ) AS firsts,
        arrayJoin(arrayZip(firsts, arrayPushBack(arrayPopFront(firsts), toUInt32(length(ranks) + 1)))) AS stay
    FROM
    (
        SELECT
            definition, person_id, journey_id, path_time, path_channel, path_touchpoint, last_at,
            toUnixTimestamp64Milli(completed_at) AS completed, indexOf(named, definition) * 64 AS place,
            arrayFill(rank -> rank > 0, path_stage) AS ranks, arrayMap(at -> toUnixTimestamp64Milli(at), path_time) AS times,
            arrayMap(
                rank -> transform(toUInt32(place + rank), tupleElement(patiences, 1), tupleElement(patiences, 2), toInt64(0)),
                ranks
            ) AS patience
        FROM journeys FINAL
        WHERE generation = (SELECT generation FROM live_generation) AND definition IN (SELECT definition FROM v_stages)
            AND started_at >= fromUnixTimestamp64Milli({oldest:Int64} * 60000, 'UTC')
            AND started_at < fromUnixTimestamp64Milli(({last:Int64} + 1) * 60000, 'UTC')
    )
    WHERE last_at >= fromUnixTimestamp64Milli({first:Int64} * 60000, 'UTC') OR arrayExists(
        (at, silence) -> intDiv(at, 60000) + intDiv(silence, 60000) BETWEEN {first:Int64} AND {last:Int64}, times, patience
    )
)
