-- Drop-offs, recoveries and completions are told now. And what a path says of its stages: skipped, gone back to, repeated, and
-- how long each of them took.
CREATE OR REPLACE VIEW v_outcomes
(
    outcome_id UUID COMMENT 'The outcome',
    journey_id UUID COMMENT 'Its journey',
    person_id  UUID COMMENT 'The customer',
    definition LowCardinality(String) COMMENT 'Journey of journeys.yaml',
    kind       LowCardinality(String) COMMENT 'dropped_off, recovered or completed',
    at         DateTime64(3, 'UTC') COMMENT 'The deadline of a drop-off; the touchpoint of a recovery or a completion',
    stage      UInt8 COMMENT 'Rank of the stage then; of a recovery the one at which it had dropped off',
    channel    LowCardinality(String) COMMENT 'Channel of the last touchpoint then: before the silence, or the one that ended it',
    touchpoint LowCardinality(String) COMMENT 'Name of that touchpoint',
    historical Bool COMMENT 'Its touchpoint arrived when silence after it would have been a drop-off already; never alerted'
)
AS SELECT
    outcome_id, journey_id, person_id, definition, CAST(kind, 'String') AS kind, at, stage, channel, touchpoint, historical
FROM outcomes FINAL WHERE generation = (SELECT generation FROM live_generation) AND NOT retracted
COMMENT 'Drop-offs, recoveries and completions as they happened; what a late touchpoint disproved is gone. Exact now.';

CREATE OR REPLACE VIEW v_journeys
(
    journey_id         UUID COMMENT 'The journey; changes when its first touchpoint or its customer changes',
    person_id          UUID COMMENT 'The customer',
    definition         LowCardinality(String) COMMENT 'Which journey of journeys.yaml it is',
    definition_version UInt32 COMMENT 'Version of the definition that it was computed with',
    started_at         DateTime64(3, 'UTC') COMMENT 'Time of its first touchpoint',
    last_at            DateTime64(3, 'UTC') COMMENT 'Time of its last touchpoint',
    status             LowCardinality(String) COMMENT 'open, completed, dropped_off or recovered, at the time of the query',
    stage              UInt8 COMMENT 'Rank of the stage of its last touchpoint that has one; names in v_stages',
    furthest_stage     UInt8 COMMENT 'Highest rank that it reached',
    stages             Array(UInt8) COMMENT 'Ranks of the stages that it entered, rising',
    stages_skipped     Array(UInt8) COMMENT 'Ranks below the furthest that it never entered, rising',
    stages_back        Array(UInt8) COMMENT 'Ranks that it went back to from a later stage, rising',
    stages_repeated    Array(UInt8) COMMENT 'Ranks that it entered more than once, rising',
    stage_ms           Map(UInt8, Int64) COMMENT 'Rank → ms from its touchpoints to the next ones, silences included; within the path',
    completed_at       Nullable(DateTime64(3, 'UTC')) COMMENT 'When it reached its goal',
    due_at             Nullable(DateTime64(3, 'UTC')) COMMENT 'When silence becomes, or became, a drop-off',
    touchpoints        UInt32 COMMENT 'Number of its touchpoints',
    entry_channel      LowCardinality(String) COMMENT 'Channel of its first touchpoint',
    value              Map(LowCardinality(String), Int64) COMMENT 'Currency → minor units; never add up over currencies',
    peak_end           Nullable(Float64) COMMENT 'Experience score −1 … +1: mean of the most intense and the last feedback; ours',
    drop_off_at        Array(DateTime64(3, 'UTC')) COMMENT 'Deadlines at which it had fallen silent',
    drop_off_stage     Array(UInt8) COMMENT 'Stage of each silence',
    drop_off_step      Array(UInt32) COMMENT 'Step before each silence, index into the path from 0',
    recovered_at       Array(DateTime64(3, 'UTC')) COMMENT 'Return after each silence; 1970: not yet',
    feedback_kind      Array(LowCardinality(String)) COMMENT 'Feedback: kinds',
    feedback_score     Array(Int8) COMMENT 'Feedback: scores in the scale of each kind; −1: none',
    feedback_step      Array(UInt32) COMMENT 'Feedback: its step, index into the path from 0',
    path_time          Array(DateTime64(3, 'UTC')) COMMENT 'Path: times; at most 2,000 steps',
    path_channel       Array(LowCardinality(String)) COMMENT 'Path: channels',
    path_touchpoint    Array(LowCardinality(String)) COMMENT 'Path: names of the touchpoints',
    path_stage         Array(UInt8) COMMENT 'Path: stages; 0: none',
    arrived_at         DateTime64(3, 'UTC') COMMENT 'When the newest touchpoint that it answers to arrived'
)
AS SELECT
    journey_id, person_id, definition, definition_version, started_at, last_at,
    if(status IN ('open', 'recovered') AND due_at > toDateTime64(0, 3, 'UTC') AND due_at < now64(3, 'UTC'),
       'dropped_off', CAST(status, 'String')) AS status,
    stage, furthest_stage, entered AS stages,
    arrayFilter(rank -> NOT has(entered, rank), arrayMap(rank -> toUInt8(rank), range(1, furthest_stage))) AS stages_skipped,
    arraySort(arrayDistinct(arrayFilter(
        (rank, before) -> rank < before, arrayPopFront(walked), arrayPopBack(walked)))) AS stages_back,
    arrayFilter(rank -> countEqual(walked, rank) > 1, entered) AS stages_repeated,
    mapFromArrays(entered, arrayMap(rank -> arraySum(
        (at_stage, wait) -> if(at_stage = rank, wait, 0), arrayPopBack(arrayFill(at_stage -> at_stage > 0, path_stage)),
        arrayPopFront(arrayDifference(arrayMap(at -> toUnixTimestamp64Milli(at), path_time)))), entered)) AS stage_ms,
    nullIf(completed_at, toDateTime64(0, 3, 'UTC')) AS completed_at, nullIf(due_at, toDateTime64(0, 3, 'UTC')) AS due_at,
    touchpoints, entry_channel, value, peak_end, drop_off_at, drop_off_stage, drop_off_step, recovered_at, feedback_kind,
    feedback_score, feedback_step, path_time, path_channel, path_touchpoint, path_stage, arrived_at
FROM
(
    SELECT
        * EXCEPT (stages), arrayMap(bit -> toUInt8(bit), bitPositionsToArray(stages)) AS entered,
        arrayCompact(arrayFilter(rank -> rank > 0, path_stage)) AS walked
    FROM journeys FINAL WHERE generation = (SELECT generation FROM live_generation)
)
COMMENT 'One row per live journey. Exact now; the status is brought up to the time of the query.';
