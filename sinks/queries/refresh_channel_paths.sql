INSERT INTO rollup_channel_paths
SELECT day, definition, entry_channel, channel_path, sum(n), sum(n_completed), %(version)s, %(generation)s
FROM
(
    SELECT
        toDate(started_at) AS day, definition, entry_channel, arraySlice(arrayCompact(path_channel), 1, 6) AS channel_path,
        count() AS n, countIf(status = 'completed') AS n_completed
    FROM (
        SELECT started_at, definition, entry_channel, path_channel, status
        FROM journeys FINAL
        WHERE generation = %(generation)s AND definition IN %(definitions)s AND toDate(started_at) IN %(buckets)s
    )
    GROUP BY day, definition, entry_channel, channel_path
    UNION ALL
    SELECT day, definition, entry_channel, channel_path, 0, 0
    FROM rollup_channel_paths FINAL
    WHERE generation = %(generation)s AND definition IN %(definitions)s AND day IN %(buckets)s AND journeys > 0
)
GROUP BY day, definition, entry_channel, channel_path
