-- What came too late for its customer's journeys. `stands`: nothing newer was said of the customer and the touchpoint. Version:
-- revision << 32 | move.
SELECT
    lower(hex(UUIDToNum(event_id))) AS event, lower(hex(UUIDToNum(person_id))) AS person, version, cause,
    toUnixTimestamp64Milli(occurred_at) AS at, toUnixTimestamp64Milli(closed_at) AS closed,
    toUnixTimestamp64Milli(arrived_at) AS arrived, (person_id, event_id) IN (SELECT person_id, event_id FROM v_late) AS stands
FROM late FINAL
WHERE generation = (SELECT generation FROM live_generation)
ORDER BY event, person
SETTINGS max_bytes_before_external_sort = 1000000000
