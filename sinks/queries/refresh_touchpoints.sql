-- Feedback stands at its step of the path; the last step of a journey has no next one and no waiting time. A row that was
-- written before its deadline is dropped off when that is past.
INSERT INTO rollup_touchpoints
SELECT
    day, definition, entry_channel, channel, touchpoint, sum(n), sum(n_journeys), sum(n_dropped_after), sum(n_repeats),
    sum(n_escalations), sum(n_wait_ms), sum(n_promoters), sum(n_detractors), sum(n_nps), sum(n_satisfied), sum(n_csat),
    sum(n_easy), sum(n_ces_sum), sum(n_ces), sum(n_stars_sum), sum(n_stars), %(version)s, %(generation)s
FROM
(
    SELECT
        toDate(started_at) AS day, definition, entry_channel, channel, touchpoint, count() AS n,
        uniqExact(journey_id) AS n_journeys, countIf(silent AND step = steps) AS n_dropped_after,
        countIf(step < steps AND touchpoint = next_touchpoint) AS n_repeats,
        countIf(next_channel = 'call_center' AND channel != 'call_center') AS n_escalations,
        sumIf(greatest(next_ms - ms, 0), step < steps) AS n_wait_ms,
        sum(arrayCount((k, s) -> k = 'nps' AND s >= 9, kinds, scores)) AS n_promoters,
        sum(arrayCount((k, s) -> k = 'nps' AND s <= 6, kinds, scores)) AS n_detractors,
        sum(arrayCount(k -> k = 'nps', kinds)) AS n_nps,
        sum(arrayCount((k, s) -> k = 'csat' AND s >= 4, kinds, scores)) AS n_satisfied,
        sum(arrayCount(k -> k = 'csat', kinds)) AS n_csat,
        sum(arrayCount((k, s) -> k = 'ces' AND s >= 5, kinds, scores)) AS n_easy,
        sum(arraySum((k, s) -> if(k = 'ces', s, 0), kinds, scores)) AS n_ces_sum,
        sum(arrayCount(k -> k = 'ces', kinds)) AS n_ces,
        sum(arraySum((k, s) -> if(k = 'stars', s, 0), kinds, scores)) AS n_stars_sum,
        sum(arrayCount(k -> k = 'stars', kinds)) AS n_stars
    FROM
    (
        SELECT
            started_at, definition, entry_channel, journey_id, silent, length(path_time) AS steps, channel, touchpoint,
            next_channel, next_touchpoint, step, ms, next_ms,
            arrayFilter((k, at_step) -> at_step = step - 1, feedback_kind, feedback_step) AS kinds,
            arrayFilter((s, at_step) -> at_step = step - 1, feedback_score, feedback_step) AS scores
        FROM
        (
            SELECT
                *, arrayMap(at -> toUnixTimestamp64Milli(at), path_time) AS path_ms
            FROM
            (
                SELECT
                    started_at, definition, entry_channel, journey_id, path_time, path_channel, path_touchpoint,
                    feedback_kind, feedback_score, feedback_step,
                    status = 'dropped_off' OR (
                        status IN ('open', 'recovered') AND due_at > toDateTime64(0, 3, 'UTC') AND due_at < now64(3, 'UTC')
                    ) AS silent
                FROM journeys FINAL
                WHERE generation = %(generation)s AND definition IN %(definitions)s AND toDate(started_at) IN %(buckets)s
            )
        )
        ARRAY JOIN
            path_channel AS channel, path_touchpoint AS touchpoint, arrayPushBack(arrayPopFront(path_channel), '') AS next_channel,
            arrayPushBack(arrayPopFront(path_touchpoint), '') AS next_touchpoint, arrayEnumerate(path_channel) AS step,
            path_ms AS ms, arrayPushBack(arrayPopFront(path_ms), 0) AS next_ms
    )
    GROUP BY day, definition, entry_channel, channel, touchpoint
    UNION ALL
    SELECT day, definition, entry_channel, channel, touchpoint, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM rollup_touchpoints FINAL
    WHERE generation = %(generation)s AND definition IN %(definitions)s AND day IN %(buckets)s AND touchpoints > 0
)
GROUP BY day, definition, entry_channel, channel, touchpoint
