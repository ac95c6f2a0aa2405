-- The record's own version is above all of the release before, whose records have no own_id and were ordered by time and
-- place in the log (`_offset` is put in front by the sink).
INSERT INTO identities (identifier, person_id, own_id, at, shared, version, generation)
SELECT
    identifier, person_id, own_id, fromUnixTimestamp64Milli(at, 'UTC'), shared,
    if(
        own_id = toUUID('00000000-0000-0000-0000-000000000000'),
        bitShiftLeft(toUInt128(at), 64) + _offset, bitShiftLeft(toUInt128(1), 120) + version
    ),
    greatest(_generation, 1)
FROM input('identifier String, person_id UUID, own_id UUID, at Int64, shared Bool, version UInt64, _offset UInt64, _generation UInt16')
FORMAT JSONEachRow
