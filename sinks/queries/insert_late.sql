INSERT INTO late (person_id, event_id, occurred_at, closed_at, arrived_at, cause, version, generation)
SELECT
    person_id, event_id, fromUnixTimestamp64Milli(at, 'UTC'), fromUnixTimestamp64Milli(closed_at, 'UTC'),
    fromUnixTimestamp64Milli(arrived, 'UTC'), cause, bitShiftLeft(toUInt64(revision), 32) + move, greatest(_generation, 1)
FROM input('
    person_id UUID, event_id UUID, revision UInt32, move UInt16, arrived Int64, closed_at Int64, at Int64,
    cause LowCardinality(String), _generation UInt16')
FORMAT JSONEachRow
