SELECT
    lower(hex(UUIDToNum(event_id))) AS event, lower(hex(UUIDToNum(person_id))) AS person, version,
    toUnixTimestamp64Milli(occurred_at) AS at, channel, name, rules, sequence, amount, currency, feedback, score, sentiment
FROM person_touchpoints FINAL
WHERE generation = (SELECT generation FROM live_generation)
ORDER BY event, person
SETTINGS max_bytes_before_external_sort = 1000000000
