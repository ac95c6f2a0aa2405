INSERT INTO rollup_funnel
SELECT
    hour, definition, entry_channel, stage, sum(n_entered), sum(n_moved_on), sum(n_dropped_off),
    sum(n_entered) - sum(n_moved_on) - sum(n_dropped_off), sum(n_recovered), sum(n_decided), sum(n_completed), %(version)s,
    %(generation)s
FROM
(
    SELECT
        toStartOfHour(started_at, 'UTC') AS hour, definition, entry_channel, stage, count() AS n_entered,
        countIf(moved_on) AS n_moved_on, countIf(dropped_off) AS n_dropped_off, countIf(recovered) AS n_recovered,
        countIf(moved_on OR dropped_off OR recovered) AS n_decided, countIf(completed) AS n_completed
    FROM journey_stages
    WHERE generation = %(generation)s AND definition IN %(definitions)s AND toStartOfHour(started_at, 'UTC') IN %(buckets)s
    GROUP BY hour, definition, entry_channel, stage
    UNION ALL
    SELECT hour, definition, entry_channel, stage, 0, 0, 0, 0, 0, 0
    FROM rollup_funnel FINAL
    WHERE generation = %(generation)s AND definition IN %(definitions)s AND hour IN %(buckets)s AND entered > 0
)
GROUP BY hour, definition, entry_channel, stage
