INSERT INTO dirty_hours (definition, hour, generation)
SELECT definition, toDateTime(hour, 'UTC'), generation
FROM input('definition LowCardinality(String), hour Int64, generation UInt16') FORMAT JSONEachRow
