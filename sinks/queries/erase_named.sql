-- Touchpoints of which a stored revision carries one of the given names, and the first name that it carries.
SELECT event_id, min(name)
FROM
(
    SELECT
        event_id,
        arrayJoin(arrayMap(
            kind -> concat(kind, ':', identifiers[kind]), arrayFilter(kind -> mapContains(identifiers, kind), {strong:Array(String)})
        )) AS name
    FROM touchpoints
)
WHERE name IN (SELECT value FROM given)
GROUP BY event_id
