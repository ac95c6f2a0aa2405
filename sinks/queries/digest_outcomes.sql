-- Without `historical`, which tells when it was learnt. A drop-off is one once its deadline is over.
SELECT
    toJSONString((
        outcome_id, journey_id, person_id, definition, kind, toUnixTimestamp64Milli(at), stage, channel, touchpoint
    )),
    ''
FROM outcomes FINAL
WHERE generation = {generation:UInt16} AND NOT retracted AND toUnixTimestamp64Milli(at) < {as_of:Int64}
ORDER BY outcome_id
SETTINGS max_bytes_before_external_sort = 1000000000
