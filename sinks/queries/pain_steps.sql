-- One row per time that a journey was at a touchpoint that has a stage, before its goal, and that is decided: the stage's patience
-- has passed since, else those who went on soon would be counted and those who hesitate not. Touchpoints without a stage count with
-- the one before them. `followed` is by one with a stage; `next_at` and `next_in` are of the next of any kind; `silence` is
-- the one just before the next with a stage. Lambdas take arrays as arguments: what they capture is repeated for each element.
SELECT
    channel, touchpoint, stage, entry_channel, before, at, next_place != '' AS followed, silent AND NOT followed AS dropped,
    dropped OR (next_at > 0 AND next_at - at > patience) OR silence > patience AS fell_silent,
    followed AND next_place = concat(channel, ' ', touchpoint) AS repeated,
    followed AND next_in = 'call_center' AND channel != 'call_center' AS escalated, next_at - at AS waits, completed > 0 AS reached
FROM
(
    SELECT definition, entry_channel, completed, silent, at, stage, channel, touchpoint, before, next_place, next_at, next_in, silence
    FROM
    (
        SELECT
            definition, entry_channel, toUnixTimestamp64Milli(completed_at) AS completed,
            completed = 0 AND toUnixTimestamp64Milli(due_at) < {now:Int64} AS silent,
            arrayMap(at -> toUnixTimestamp64Milli(at), path_time) AS times,
            arrayFilter((one, rank) -> rank > 0, times, path_stage) AS staged_at,
            arrayFilter(rank -> rank > 0, path_stage) AS ranks,
            arrayFilter((one, rank) -> rank > 0, path_channel, path_stage) AS channels,
            arrayFilter((one, rank) -> rank > 0, path_touchpoint, path_stage) AS names,
            arrayMap((one, name) -> concat(one, ' ', name), channels, names) AS places,
            arrayFilter((one, rank) -> rank > 0, arrayPushBack(arrayPopFront(times), toInt64(0)), path_stage) AS nexts_at,
            arrayFilter((one, rank) -> rank > 0, arrayPushBack(arrayPopFront(path_channel), ''), path_stage) AS nexts_in,
            arrayFilter((one, rank) -> rank > 0, arrayDifference(times), path_stage) AS gaps
        FROM journeys FINAL
        WHERE generation = (SELECT generation FROM live_generation) AND definition = {definition:String}
            AND started_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') AND started_at <= fromUnixTimestamp64Milli({now:Int64}, 'UTC')
    )
    ARRAY JOIN
        staged_at AS at, ranks AS stage, channels AS channel, names AS touchpoint, arrayPushFront(arrayPopBack(places), '') AS before,
        arrayPushBack(arrayPopFront(places), '') AS next_place, nexts_at AS next_at, nexts_in AS next_in,
        arrayPushBack(arrayPopFront(gaps), toInt64(0)) AS silence
    WHERE (completed = 0 OR at < completed) AND (next_place != '' OR silent)
) AS steps
INNER JOIN (SELECT definition, stage, toInt64(patience_ms) AS patience FROM v_stages) AS stages USING (definition, stage)
WHERE at + patience < {now:Int64} AND at >= {first:Int64} AND at < {last:Int64}
