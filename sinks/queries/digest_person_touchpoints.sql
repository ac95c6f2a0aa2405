SELECT
    toJSONString((
        person_id, event_id, toUnixTimestamp64Milli(occurred_at), sequence, channel, name, rules, amount, currency, feedback,
        score, sentiment
    )),
    ''
FROM person_touchpoints FINAL
ORDER BY person_id, event_id
SETTINGS max_bytes_before_external_sort = 1000000000
