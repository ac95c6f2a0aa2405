-- Touchpoints that are of the given people, or were last, before they were retracted or erased. A move writes both its rows with
-- one version, and the row without the flag is where it went.
SELECT event_id, owner
FROM
(
    SELECT event_id, argMax(person_id, (version, is_deleted = 0)) AS owner
    FROM person_touchpoints
    WHERE generation = (SELECT generation FROM live_generation) AND event_id IN
    (
        SELECT event_id FROM person_touchpoints
        WHERE generation = (SELECT generation FROM live_generation) AND person_id IN (SELECT value FROM given)
    )
    GROUP BY event_id
)
WHERE owner IN (SELECT value FROM given)
