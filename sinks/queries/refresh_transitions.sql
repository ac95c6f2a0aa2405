INSERT INTO rollup_transitions
SELECT day, definition, entry_channel, touchpoint, next_touchpoint, sum(n), %(version)s, %(generation)s
FROM
(
    SELECT toDate(started_at) AS day, definition, entry_channel, touchpoint, next_touchpoint, count() AS n
    FROM
    (
        SELECT started_at, definition, entry_channel, path_touchpoint
        FROM journeys FINAL
        WHERE generation = %(generation)s AND definition IN %(definitions)s AND toDate(started_at) IN %(buckets)s
    )
    ARRAY JOIN arrayPopBack(path_touchpoint) AS touchpoint, arrayPopFront(path_touchpoint) AS next_touchpoint
    GROUP BY day, definition, entry_channel, touchpoint, next_touchpoint
    UNION ALL
    SELECT day, definition, entry_channel, touchpoint, next_touchpoint, 0
    FROM rollup_transitions FINAL
    WHERE generation = %(generation)s AND definition IN %(definitions)s AND day IN %(buckets)s AND transitions > 0
)
GROUP BY day, definition, entry_channel, touchpoint, next_touchpoint
