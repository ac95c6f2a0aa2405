-- What stands for the rows is replaced by those of both sides: key, hash of the content, side.
SELECT countIf(n = 2 AND same), countIf(n = 1 AND side = 'one'), countIf(n = 1 AND side = 'other'), countIf(n = 2 AND NOT same)
FROM
(
    SELECT key, count() AS n, uniqExact(content) = 1 AS same, any(side) AS side
    FROM (<rows>)
    GROUP BY key
)
