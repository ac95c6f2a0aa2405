SELECT
    toJSONString((
        person_id, event_id, toUnixTimestamp64Milli(occurred_at), sequence, channel, name, rules, amount, currency, feedback,
        score, sentiment
    )) AS line,
    ''
FROM person_touchpoints FINAL
WHERE generation = {generation:UInt16}
ORDER BY person_id, event_id
SETTINGS max_bytes_before_external_sort = 1000000000
