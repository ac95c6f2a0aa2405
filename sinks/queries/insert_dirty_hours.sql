INSERT INTO dirty_hours (definition, hour)
SELECT definition, toDateTime(hour, 'UTC') FROM input('definition LowCardinality(String), hour Int64') FORMAT JSONEachRow
