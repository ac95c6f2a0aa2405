-- `_partition` and `_offset` are put in front of each record by the sink.
INSERT INTO dead_letters (at, source, leg, reason, path, message, address, record, bytes, sha256, position)
SELECT
    fromUnixTimestamp64Milli(at, 'UTC'), source, leg, reason, path, message, address, record, bytes, sha256,
    if(leg = 'sink', address, concat('dead_letters/', toString(_partition), '/', toString(_offset)))
FROM input('
    at Int64, source LowCardinality(String), leg LowCardinality(String), reason LowCardinality(String),
    path LowCardinality(String), message String, address String, record String, bytes UInt64, sha256 String,
    _partition UInt32, _offset UInt64')
FORMAT JSONEachRow
