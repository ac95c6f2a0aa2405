-- What happened after each touchpoint, among comparable passes of it: the same stage, entry channel and touchpoint before. A wait is
-- long if nine of ten at that stage are shorter.
WITH
    steps AS (<steps>),
    usual AS (SELECT stage, quantileTDigest(0.9)(waits) AS long FROM steps WHERE followed GROUP BY stage)
SELECT
    channel, touchpoint, stage, entry_channel, before, count() AS passes, countIf(dropped), countIf(followed), countIf(repeated),
    countIf(followed AND waits > long), countIf(escalated), countIf(followed AND reached)
FROM steps LEFT JOIN usual USING (stage)
GROUP BY channel, touchpoint, stage, entry_channel, before
ORDER BY channel, touchpoint, stage, entry_channel, before
