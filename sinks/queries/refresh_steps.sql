INSERT INTO rollup_steps
SELECT day, definition, entry_channel, step, channel, next_channel, sum(n), %(version)s, %(generation)s
FROM
(
    SELECT toDate(started_at) AS day, definition, entry_channel, step, channel, next_channel, count() AS n
    FROM
    (
        SELECT started_at, definition, entry_channel, arraySlice(path_channel, 1, 6) AS path
        FROM journeys FINAL
        WHERE generation = %(generation)s AND definition IN %(definitions)s AND toDate(started_at) IN %(buckets)s
    )
    ARRAY JOIN arrayPopBack(path) AS channel, arrayPopFront(path) AS next_channel, arrayEnumerate(arrayPopBack(path)) AS step
    GROUP BY day, definition, entry_channel, step, channel, next_channel
    UNION ALL
    SELECT day, definition, entry_channel, step, channel, next_channel, 0
    FROM rollup_steps FINAL
    WHERE generation = %(generation)s AND definition IN %(definitions)s AND day IN %(buckets)s AND journeys > 0
)
GROUP BY day, definition, entry_channel, step, channel, next_channel
