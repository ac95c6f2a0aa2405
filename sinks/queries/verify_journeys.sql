-- The rows as they are, as JSON; of the people that are asked for, or of all. A map comes as an object.
SELECT
    lower(hex(UUIDToNum(journey_id))) AS id,
    toJSONString((
        id, lower(hex(UUIDToNum(person_id))), definition, definition_version, toUnixTimestamp64Milli(started_at),
        toUnixTimestamp64Milli(last_at), status, stage, furthest_stage, stages, toUnixTimestamp64Milli(completed_at),
        toUnixTimestamp64Milli(due_at), touchpoints, entry_channel, value, peak_end,
        arrayMap(at -> toUnixTimestamp64Milli(at), drop_off_at), drop_off_stage, drop_off_step,
        arrayMap(at -> toUnixTimestamp64Milli(at), recovered_at), feedback_kind, feedback_score, feedback_step,
        arrayMap(at -> toUnixTimestamp64Milli(at), path_time), path_channel, path_touchpoint, path_stage
    )) AS row
FROM journeys FINAL
WHERE generation = (SELECT generation FROM live_generation)
    AND (empty({people:Array(UUID)}) OR has({people:Array(UUID)}, person_id))
ORDER BY id
SETTINGS max_bytes_before_external_sort = 1000000000
