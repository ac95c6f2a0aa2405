SELECT identifier, lower(hex(UUIDToNum(person_id))) AS person, shared
FROM identities FINAL
WHERE generation = (SELECT generation FROM live_generation)
ORDER BY identifier
SETTINGS max_bytes_before_external_sort = 1000000000
