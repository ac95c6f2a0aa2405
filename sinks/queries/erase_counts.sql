SELECT
    person_id, transform(what, ['event', 'revision', 'journey', 'letter', 'identifier'], ['touchpoints', 'revisions', 'journeys', 'dead letters', 'identifiers'], ''),
    uniqExact(if(what = 'revision', (id, version, position), (id, toUInt128(0), position)))
FROM erasing
WHERE erasure_id = %(erasure)s
GROUP BY person_id, what
