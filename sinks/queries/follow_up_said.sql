-- What the sources of some answers said with them, and the customer's touchpoints that they say they are about: of the same
-- source first.
SELECT answer, any(said) AS text, argMin(tupleElement(named, 1), tupleElement(named, 3)), argMin(tupleElement(named, 2), tupleElement(named, 3))
FROM
(
    SELECT
        facts.event_id AS answer, facts.feedback_text AS said,
        if(empty(theirs.name), ('', '', 2), (theirs.channel, theirs.name, toUInt8(theirs.source != facts.source))) AS named
    FROM (SELECT event_id, source, feedback_about, feedback_text FROM touchpoints FINAL WHERE event_id IN (SELECT value FROM answers)) AS facts
    LEFT JOIN
    (
        SELECT event_id, person_id FROM person_touchpoints FINAL
        WHERE generation = (SELECT generation FROM live_generation) AND person_id IN (SELECT value FROM people)
            AND event_id IN (SELECT value FROM answers)
    ) AS whose ON whose.event_id = facts.event_id
    LEFT JOIN
    (
        SELECT person_id, source, source_event_id, touchpoints.channel AS channel, touchpoints.name AS name
        FROM (
            SELECT person_id, event_id FROM person_touchpoints FINAL
            WHERE generation = (SELECT generation FROM live_generation) AND person_id IN (SELECT value FROM people)
        ) AS all_theirs
        INNER JOIN
        (
            SELECT event_id, source, source_event_id, channel, name FROM touchpoints FINAL
            WHERE event_id IN (SELECT event_id FROM person_touchpoints WHERE person_id IN (SELECT value FROM people))
        ) AS touchpoints ON touchpoints.event_id = all_theirs.event_id
        WHERE source_event_id != ''
    ) AS theirs ON theirs.person_id = whose.person_id AND theirs.source_event_id = facts.feedback_about
)
GROUP BY answer
