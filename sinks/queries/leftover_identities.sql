-- Identifiers that two generations do not have alike, and that no touchpoint carries any more: a correction or retraction took
-- them away, and a generation that never read what was corrected does not know them.
WITH apart AS
(
    SELECT identifier FROM identities FINAL WHERE generation IN ({one:UInt16}, {other:UInt16})
    GROUP BY identifier
    HAVING count() = 1 OR uniqExact(person_id) > 1
)
SELECT count() FROM apart WHERE identifier NOT IN
(
    SELECT arrayJoin(arrayMap((kind, value) -> concat(kind, ':', value), mapKeys(identifiers), mapValues(identifiers))) AS carried
    FROM touchpoints FINAL
    WHERE carried IN (SELECT identifier FROM apart)
)
