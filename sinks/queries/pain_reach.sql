-- Journeys that passed each touchpoint, whatever came of them.
SELECT tupleElement(place, 1) AS channel, tupleElement(place, 2) AS touchpoint, max(stage), count()
FROM
(
    SELECT
        arrayZip(path_channel, path_touchpoint) AS places, arrayJoin(arrayDistinct(places)) AS place,
        path_stage[indexOf(places, place)] AS stage
    FROM journeys FINAL
    WHERE generation = (SELECT generation FROM live_generation) AND definition = {definition:String}
        AND started_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') AND started_at <= fromUnixTimestamp64Milli({now:Int64}, 'UTC')
)
GROUP BY channel, touchpoint
ORDER BY channel, touchpoint
