-- Of the given identifiers those that a touchpoint carries which is not among `events`, in a row that is not among `revisions`.
SELECT DISTINCT concat(kind, ':', identifier) AS name
FROM touchpoints
ARRAY JOIN mapKeys(identifiers) AS kind, mapValues(identifiers) AS identifier
WHERE name IN (SELECT value FROM given) AND event_id NOT IN (SELECT value FROM events)
    AND concat(toString(event_id), ' ', toString(version)) NOT IN (SELECT value FROM revisions)
