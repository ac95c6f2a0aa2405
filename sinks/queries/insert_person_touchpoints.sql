-- Without a fold record (its name is never empty) the touchpoint is this person's no longer, or retracted.
INSERT INTO person_touchpoints
(
    person_id, event_id, occurred_at, sequence, channel, name, rules, amount, currency, feedback, score, sentiment, arrived_at,
    cause, version, is_deleted, generation
)
SELECT
    person_id, event_id, fromUnixTimestamp64Milli(tupleElement(record, 'at'), 'UTC'),
    ifNull(tupleElement(record, 'sequence'), -1), tupleElement(record, 'channel'), tupleElement(record, 'name') AS name,
    tupleElement(record, 'rules'), tupleElement(record, 'amount'), tupleElement(record, 'currency'),
    tupleElement(record, 'feedback'), ifNull(tupleElement(record, 'score'), -1), tupleElement(record, 'sentiment'),
    fromUnixTimestamp64Milli(arrived, 'UTC'), cause, bitShiftLeft(toUInt64(revision), 32) + move, empty(name),
    greatest(_generation, 1)
FROM input('
    person_id UUID, event_id UUID, revision UInt32, move UInt32, arrived Int64, cause LowCardinality(String),
    record Tuple(at Int64, channel String, name String, rules Array(UInt8), sequence Nullable(Int32), amount Int64,
                 currency String, feedback String, score Nullable(Int8), sentiment String),
    _generation UInt16')
FORMAT JSONEachRow
