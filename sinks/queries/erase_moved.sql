-- Touchpoints that were these people's once and are another's now: what is left of them there is a row that says so.
SELECT person_id, event_id
FROM person_touchpoints
WHERE person_id IN (SELECT value FROM given) AND event_id NOT IN (SELECT value FROM events)
GROUP BY person_id, event_id
HAVING argMax(is_deleted, (generation, version)) = 1
