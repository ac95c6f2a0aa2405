-- The journeys of the live generation: name, version, hash of what each says, names of its stages, goal, journeys so far.
SELECT definition, version, content, names, goal, found
FROM
(
    SELECT
        definition, max(definition_version) AS version, any(stages.content) AS content,
        arrayMap(one -> tupleElement(one, 2), arraySort(groupArray((stage, name)))) AS names, anyIf(name, is_goal) AS goal
    FROM stages FINAL
    WHERE generation = (SELECT generation FROM live_generation)
    GROUP BY definition
) AS named
LEFT JOIN
(
    SELECT definition, count() AS found FROM journeys FINAL
    WHERE generation = (SELECT generation FROM live_generation) GROUP BY definition
) AS counted USING (definition)
ORDER BY content, definition
