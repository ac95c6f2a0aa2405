-- `_generation` is put in front by the sink where it is not the first.
INSERT INTO journeys
(
    journey_id, person_id, definition, definition_version, started_at, last_at, status, stage, furthest_stage, stages,
    completed_at, due_at, touchpoints, entry_channel, value, peak_end, drop_off_at, drop_off_stage, drop_off_step,
    recovered_at, feedback_kind, feedback_score, feedback_step, path_time, path_channel, path_touchpoint, path_stage,
    arrived_at, version, is_deleted, generation
)
SELECT
    journey_id, person_id, definition, definition_version, fromUnixTimestamp64Milli(started_at, 'UTC'),
    fromUnixTimestamp64Milli(last_at, 'UTC'), status, stage, furthest_stage, stages,
    fromUnixTimestamp64Milli(completed_at, 'UTC'), fromUnixTimestamp64Milli(due_at, 'UTC'), touchpoints, entry_channel, value,
    peak_end, arrayMap(ms -> fromUnixTimestamp64Milli(ms, 'UTC'), drop_off_at), drop_off_stage, drop_off_step,
    arrayMap(ms -> fromUnixTimestamp64Milli(ms, 'UTC'), recovered_at), feedback_kind, feedback_score, feedback_step,
    arrayMap(ms -> fromUnixTimestamp64Milli(ms, 'UTC'), path_time), path_channel, path_touchpoint, path_stage,
    fromUnixTimestamp64Milli(arrived_at, 'UTC'), version, is_deleted, greatest(_generation, 1)
FROM input('
    journey_id UUID, person_id UUID, definition LowCardinality(String), definition_version UInt32, started_at Int64,
    last_at Int64, status Enum8(\'open\' = 1, \'completed\' = 2, \'dropped_off\' = 3, \'recovered\' = 4), stage UInt8,
    furthest_stage UInt8, stages UInt64, completed_at Int64, due_at Int64, touchpoints UInt32,
    entry_channel LowCardinality(String), value Map(LowCardinality(String), Int64), peak_end Nullable(Float64),
    drop_off_at Array(Int64), drop_off_stage Array(UInt8), drop_off_step Array(UInt32), recovered_at Array(Int64),
    feedback_kind Array(LowCardinality(String)), feedback_score Array(Int8), feedback_step Array(UInt32),
    path_time Array(Int64), path_channel Array(LowCardinality(String)), path_touchpoint Array(LowCardinality(String)),
    path_stage Array(UInt8), arrived_at Int64, version UInt64, is_deleted UInt8, _generation UInt16')
FORMAT JSONEachRow
