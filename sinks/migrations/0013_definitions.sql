-- So that a file of journeys can be compared with those that are live: a hash of all that a definition says. Empty in rows of a
-- release before.
ALTER TABLE stages ADD COLUMN IF NOT EXISTS content LowCardinality(String);
