-- `_partition` and `_offset` are put in front of each record by the sink. What two generations refuse alike is one letter.
INSERT INTO dead_letters (at, source, leg, reason, path, message, address, record, bytes, sha256, position)
SELECT
    fromUnixTimestamp64Milli(at, 'UTC'), source, leg, reason, path, message, address, record, bytes, sha256,
    multiIf(
        leg = 'sink', address,
        leg IN ('identity', 'stitch'), concat(leg, ' ', address, ' ', sha256),
        concat('dead_letters/', toString(_partition), '/', toString(_offset))
    )
FROM input('
    at Int64, source LowCardinality(String), leg LowCardinality(String), reason LowCardinality(String),
    path LowCardinality(String), message String, address String, record String, bytes UInt64, sha256 String,
    _partition UInt32, _offset UInt64')
FORMAT JSONEachRow
