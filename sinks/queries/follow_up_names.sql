SELECT person_id, argMin(identifier, NOT startsWith(identifier, 'customer_id:'))
FROM v_identities WHERE person_id IN (SELECT value FROM people) GROUP BY person_id
