-- What is noted, in the words of the receipt. That a touchpoint was once theirs and is another's is no thing of
-- its own; what is nobody's was deleted before, and has its receipt.
SELECT
    person_id,
    transform(
        what, ['event', 'revision', 'journey', 'letter', 'identifier'],
        ['touchpoints', 'superseded revisions', 'journeys', 'dead letters', 'identifiers'], what
    ),
    uniqExact(id, if(what = 'revision', version, 0), position)
FROM erasing
WHERE erasure_id = %(erasure)s AND what != 'moved' AND person_id != toUUID('00000000-0000-0000-0000-000000000000')
GROUP BY person_id, what
