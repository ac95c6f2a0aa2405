INSERT INTO outcomes
(
    outcome_id, journey_id, person_id, definition, kind, at, stage, channel, touchpoint, historical, retracted, version,
    generation
)
SELECT
    outcome_id, journey_id, person_id, definition, kind, fromUnixTimestamp64Milli(at, 'UTC'), stage, channel, touchpoint,
    historical, retracted, version, greatest(_generation, 1)
FROM input('
    outcome_id UUID, journey_id UUID, person_id UUID, definition LowCardinality(String),
    kind Enum8(\'dropped_off\' = 1, \'recovered\' = 2, \'completed\' = 3), at Int64, stage UInt8,
    channel LowCardinality(String), touchpoint LowCardinality(String), historical Bool, retracted Bool, version UInt64, _generation UInt16')
FORMAT JSONEachRow
