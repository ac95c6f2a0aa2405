-- Also those of the same people that broke off: what they had left is gone now.
INSERT INTO erasures (erasure_id, person_id, at, because, ordered_by, removed, finished_at, logs_until, compacted_until, version)
SELECT
    erasure_id, person_id, at, because, ordered_by, removed, fromUnixTimestamp64Milli(%(now)s, 'UTC'), logs_until,
    compacted_until, %(now)s
FROM erasures FINAL
WHERE finished_at IS NULL AND person_id IN (SELECT person_id FROM erasures WHERE erasure_id = %(erasure)s)
