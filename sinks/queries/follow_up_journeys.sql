-- The journeys of some people, by primary keys.
SELECT
    person_id, arrayMap(at -> toUnixTimestamp64Milli(at), path_time), path_channel, path_touchpoint, path_stage, feedback_kind,
    feedback_score, feedback_step
FROM journeys FINAL
WHERE generation = (SELECT generation FROM live_generation) AND (definition, started_at, journey_id) IN
(
    SELECT definition, started_at, journey_id FROM journeys_by_person FINAL
    WHERE generation = (SELECT generation FROM live_generation) AND person_id IN (SELECT value FROM people)
)
ORDER BY definition, started_at
