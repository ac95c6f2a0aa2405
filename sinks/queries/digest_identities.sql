-- Without `at`, which tells when it was announced, not what is so.
SELECT toJSONString((identifier, person_id)) AS line, ''
FROM identities FINAL
WHERE generation = {generation:UInt16}
ORDER BY identifier
SETTINGS max_bytes_before_external_sort = 1000000000
