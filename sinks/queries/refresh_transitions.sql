INSERT INTO rollup_transitions
SELECT day, definition, entry_channel, touchpoint, next_touchpoint, sum(n), %(version)s
FROM
(
    SELECT day, definition, entry_channel, touchpoint, next_touchpoint, transitions AS n
    FROM v_transitions
    WHERE definition IN %(definitions)s AND day IN %(buckets)s
    UNION ALL
    SELECT day, definition, entry_channel, touchpoint, next_touchpoint, 0
    FROM rollup_transitions FINAL
    WHERE definition IN %(definitions)s AND day IN %(buckets)s AND transitions > 0
)
GROUP BY day, definition, entry_channel, touchpoint, next_touchpoint
