-- `_offset` is put in front of each record by the sink; it decides between equal times.
INSERT INTO identities (identifier, person_id, at, source, version)
SELECT
    identifier, person_id, fromUnixTimestamp64Milli(at, 'UTC'), source, bitShiftLeft(toUInt128(at), 64) + _offset
FROM input('identifier String, person_id UUID, at Int64, source LowCardinality(String), _offset UInt64')
FORMAT JSONEachRow
