-- Which strong identifiers stand together on live touchpoints: each combination once.
SELECT DISTINCT
    arrayMap(
        kind -> concat(kind, ':', identifiers[kind]), arrayFilter(kind -> mapContains(identifiers, kind), {strong:Array(String)})
    ) AS names
FROM touchpoints FINAL
WHERE notEmpty(names)
