-- How far this pass has come, the highest version of all passes, and the time it is here.
SELECT
    (SELECT max(seen_until) FROM refreshes FINAL WHERE rollups = %(name)s),
    (SELECT max(version) FROM refreshes),
    now64(6, 'UTC')
