INSERT INTO alerts
(
    alert_id, change, journey, stage, channel, measure, since, opened_at, resolved_at, settled, stays, expected, observed, lost,
    also, link, version
)
SELECT
    alert_id, change, journey, stage, channel, measure, fromUnixTimestamp64Milli(since, 'UTC'),
    fromUnixTimestamp64Milli(opened_at, 'UTC'), fromUnixTimestamp64Milli(resolved_at, 'UTC'), settled, stays, expected,
    observed, lost, also, link, version
FROM input('
    alert_id UUID, change Enum8(\'opened\' = 1, \'widened\' = 2, \'resolved\' = 3), journey LowCardinality(String), stage UInt8,
    channel LowCardinality(String), measure Enum8(\'progress\' = 1, \'drop_off\' = 2), since Int64, opened_at Int64,
    resolved_at Int64, settled Bool, stays UInt64, expected Float64, observed Float64, lost Float64, also Array(String),
    link String, version UInt64')
FORMAT JSONEachRow
