INSERT INTO generations (generation, version)
SELECT %(generation)s, (SELECT max(version) FROM generations) + 1
