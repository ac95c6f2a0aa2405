-- Where it hurts: the ranking as it was last computed (sinks/pain), every row absolute. Shares are NULL where there is too little to
-- compare; each is of those who pass the touchpoint, beside that of comparable passes of others.
CREATE TABLE IF NOT EXISTS pain_points
(
    definition                LowCardinality(String),
    channel                   LowCardinality(String),
    touchpoint                LowCardinality(String),
    stage                     UInt8,
    place                     UInt32,
    hurts                     Bool,
    severity                  Float64,
    journeys                  UInt64,
    pain                      Float64,
    lost                      Float64,
    cost                      Map(LowCardinality(String), Int64),
    drop_off                  Nullable(Float64),
    drop_off_comparable       Nullable(Float64),
    drop_off_low              Nullable(Float64),
    drop_off_high             Nullable(Float64),
    passes                    UInt64,
    low_feedback              Nullable(Float64),
    low_feedback_comparable   Nullable(Float64),
    low_feedback_low          Nullable(Float64),
    low_feedback_high         Nullable(Float64),
    answers                   UInt64,
    repeats                   Nullable(Float64),
    repeats_comparable        Nullable(Float64),
    waits                     Nullable(Float64),
    waits_comparable          Nullable(Float64),
    escalations               Nullable(Float64),
    escalations_comparable    Nullable(Float64),
    since                     DateTime64(3, 'UTC'),
    computed_at               DateTime64(3, 'UTC'),
    generation                UInt16,
    CONSTRAINT complete CHECK notEmpty(definition) AND generation > 0
)
ENGINE = ReplacingMergeTree(computed_at)
ORDER BY (generation, definition, channel, touchpoint);

CREATE VIEW IF NOT EXISTS v_pain_points
(
    definition              LowCardinality(String) COMMENT 'Journey of journeys.yaml',
    place                   UInt32 COMMENT 'Place in the ranking, from 1: first where they leave, then where it is rated low, then the rest',
    channel                 LowCardinality(String) COMMENT 'Channel of the touchpoint',
    touchpoint              LowCardinality(String) COMMENT 'Its name',
    stage                   UInt8 COMMENT 'Rank of its stage',
    hurts                   Bool COMMENT 'It is a pain point: more leave after it than comparable ones, or rate it lower, beyond chance',
    severity                Float64 COMMENT 'Share of those who pass it that is lost, or hurt as much as if; see docs/figures.md',
    journeys                UInt64 COMMENT 'Reach: journeys that passed it',
    pain                    Float64 COMMENT 'severity × reach × share that reaches the goal from here: what the ranking goes by',
    lost                    Float64 COMMENT 'Journeys that would have reached their goal if no more left after it than after comparable ones',
    cost                    Map(LowCardinality(String), Int64) COMMENT 'What those would have brought in: currency → minor units',
    drop_off                Nullable(Float64) COMMENT 'Share that is silent after it for good',
    drop_off_comparable     Nullable(Float64) COMMENT 'The same among comparable passes of other touchpoints',
    drop_off_low            Nullable(Float64) COMMENT 'Interval of the difference, for all touchpoints together: low',
    drop_off_high           Nullable(Float64) COMMENT 'And high',
    passes                  UInt64 COMMENT 'Decided passes of it that were compared',
    low_feedback            Nullable(Float64) COMMENT 'Share of low answers about it; see v_feedback.low',
    low_feedback_comparable Nullable(Float64) COMMENT 'The same of answers of these kinds about other touchpoints',
    low_feedback_low        Nullable(Float64) COMMENT 'Interval of the difference, for all touchpoints together: low',
    low_feedback_high       Nullable(Float64) COMMENT 'And high',
    answers                 UInt64 COMMENT 'Answers about it that were compared',
    repeats                 Nullable(Float64) COMMENT 'Share of passes that are followed by the same touchpoint',
    repeats_comparable      Nullable(Float64) COMMENT 'The same among comparable passes',
    waits                   Nullable(Float64) COMMENT 'Share that waits longer for what comes next than nine of ten at that stage',
    waits_comparable        Nullable(Float64) COMMENT 'The same among comparable passes',
    escalations             Nullable(Float64) COMMENT 'Share that is followed by the call center, from another channel',
    escalations_comparable  Nullable(Float64) COMMENT 'The same among comparable passes',
    since                   DateTime64(3, 'UTC') COMMENT 'Journeys that started from then on',
    computed_at             DateTime64(3, 'UTC') COMMENT 'As things stood then'
)
AS SELECT
    definition, place, channel, touchpoint, stage, hurts, severity, journeys, pain, lost, cost, drop_off, drop_off_comparable,
    drop_off_low, drop_off_high, passes, low_feedback, low_feedback_comparable, low_feedback_low, low_feedback_high, answers,
    repeats, repeats_comparable, waits, waits_comparable, escalations, escalations_comparable, since, computed_at
FROM pain_points FINAL
WHERE generation = (SELECT generation FROM live_generation) AND (definition, computed_at) IN
    (SELECT definition, max(computed_at) FROM pain_points WHERE generation = (SELECT generation FROM live_generation) GROUP BY definition)
COMMENT 'Touchpoints ranked by pain, of the last 30 days. Prepared: minutes old.';

CREATE VIEW IF NOT EXISTS v_pain_evidence
(
    definition  LowCardinality(String) COMMENT 'Journey of journeys.yaml',
    channel     LowCardinality(String) COMMENT 'Channel of the last touchpoint that has a stage',
    touchpoint  LowCardinality(String) COMMENT 'Its name',
    stage       UInt8 COMMENT 'Rank of its stage',
    journey_id  UUID COMMENT 'A journey that is silent after it',
    person_id   UUID COMMENT 'The customer',
    at          DateTime64(3, 'UTC') COMMENT 'When they were at the touchpoint',
    due_at      DateTime64(3, 'UTC') COMMENT 'When their silence became a drop-off'
)
AS SELECT
    definition, path_channel[step] AS channel, path_touchpoint[step] AS touchpoint, path_stage[step] AS stage, journey_id, person_id,
    path_time[step] AS at, due_at
FROM
(
    SELECT
        definition, journey_id, person_id, path_time, path_channel, path_touchpoint, path_stage, due_at,
        arrayLastIndex(rank -> rank > 0, path_stage) AS step
    FROM journeys FINAL
    WHERE generation = (SELECT generation FROM live_generation) AND status != 'completed'
        AND due_at > toDateTime64(0, 3, 'UTC') AND due_at < now64(3, 'UTC')
)
WHERE step > 0
COMMENT 'Journeys that dropped off, by the touchpoint after which: the evidence of a pain point. Exact now.';

-- Of what customers do right after a touchpoint, how much does it decide? By the variance of the outcome that the next step explains
-- (correlation ratio; law of total variance), each journey once per touchpoint. Goals as the default file has them: only journeys
-- that started longer ago than the patience of the stages before the goal, added up.
CREATE VIEW IF NOT EXISTS v_moments_of_truth
(
    definition      LowCardinality(String) COMMENT 'Journey of journeys.yaml; only those that have a goal',
    channel         LowCardinality(String) COMMENT 'Channel of the touchpoint',
    touchpoint      LowCardinality(String) COMMENT 'Its name',
    journeys        UInt64 COMMENT 'Matured journeys that passed it; of fewer than 30 nothing is said',
    conversion      Float64 COMMENT 'Share of them that reached the goal',
    decides         Float64 COMMENT 'How much of what is still open at it is decided by what they do next: 0 nothing, 1 all',
    weight          Float64 COMMENT 'What is decided after it, as a share of what is decided after all touchpoints; the highest first',
    best_next       LowCardinality(String) COMMENT 'What is done next (channel and name) by those who reach the goal most often',
    best_conversion Float64 COMMENT 'And how often they reach it',
    falls_silent    Float64 COMMENT 'Share that does nothing more'
)
AS
WITH
    matures AS
    (
        SELECT definition, sum(if(stage < goal, patience_ms, 0)) AS after
        FROM v_stages INNER JOIN (SELECT definition, min(stage) AS goal FROM v_stages WHERE is_goal GROUP BY definition) AS goals USING (definition)
        GROUP BY definition
    ),
    steps AS
    (
        SELECT
            definition, completed, tupleElement(step, 1) AS channel, tupleElement(step, 2) AS touchpoint, tupleElement(step, 3) AS next
        FROM
        (
            SELECT
                definition, started_at, status = 'completed' AS completed,
                arrayFilter((at, rank) -> rank > 0 AND (completed_at = toDateTime64(0, 3, 'UTC') OR at <= completed_at), path_time, path_stage) AS times,
                length(times) AS many,
                arraySlice(arrayFilter((one, rank) -> rank > 0, path_channel, path_stage), 1, many) AS channels,
                arraySlice(arrayFilter((one, rank) -> rank > 0, path_touchpoint, path_stage), 1, many) AS names,
                arrayMap((one, name) -> concat(one, ' ', name), channels, names) AS places,
                arrayZip(channels, names, arrayPushBack(arrayPopFront(places), ''), arrayEnumerateUniq(places)) AS all_steps,
                arrayJoin(arrayFilter(one -> tupleElement(one, 4) = 1, if(completed, arrayPopBack(all_steps), all_steps))) AS step
            FROM journeys FINAL
            WHERE generation = (SELECT generation FROM live_generation)
        ) AS walked
        INNER JOIN matures USING (definition)
        WHERE toUnixTimestamp64Milli(started_at) + toInt64(after) < toUnixTimestamp64Milli(now64(3, 'UTC'))
    ),
    nexts AS
    (
        SELECT definition, channel, touchpoint, next, count() AS n, sum(completed) / n AS reach FROM steps
        GROUP BY definition, channel, touchpoint, next
    ),
    decided AS
    (
        SELECT
            definition, channel, touchpoint, sum(n) AS journeys, sum(n * reach) / journeys AS conversion,
            sum(n * reach * reach) - journeys * conversion * conversion AS explained, argMax(next, (reach, n)) AS best_next,
            max(reach) AS best_conversion, sumIf(n, next = '') / journeys AS falls_silent
        FROM nexts GROUP BY definition, channel, touchpoint HAVING journeys >= 30
    )
SELECT
    definition, channel, touchpoint, journeys, conversion,
    if(conversion IN (0., 1.), 0., explained / (journeys * conversion * (1 - conversion))) AS decides,
    if(sum(explained) OVER (PARTITION BY definition) = 0, 0., explained / sum(explained) OVER (PARTITION BY definition)) AS weight,
    best_next, best_conversion, falls_silent
FROM decided
COMMENT 'After which touchpoint the outcome of a journey is decided more than elsewhere. Exact now.';
