-- So that people and journeys can be rebuilt from the facts alone: the hash by which a resend is told from other content. Zeros
-- in rows of a release before.
ALTER TABLE touchpoints ADD COLUMN IF NOT EXISTS content FixedString(16) CODEC(NONE) AFTER revision;
