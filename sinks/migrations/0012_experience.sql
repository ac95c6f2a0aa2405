-- What customers felt, each answer bound to the touchpoint that it is about: to the one that its source names (`about`), of the
-- same source first, if it is the same customer's; else to the last touchpoint before it in the same journey that has another
-- stage and carries no feedback; else to itself. An id of a source is stored as UUIDv5(UUIDv5(namespace, source), id).
CREATE VIEW IF NOT EXISTS v_feedback
(
    event_id         UUID COMMENT 'The answer; joins v_touchpoint_facts, which has its text',
    person_id        UUID COMMENT 'The customer',
    journey_id       Nullable(UUID) COMMENT 'The journey in which it was given; NULL: in none',
    definition       LowCardinality(String) COMMENT 'Which journey of journeys.yaml that is: one row per journey; empty: none',
    answered_at      DateTime64(3, 'UTC') COMMENT 'When it was given',
    arrived_at       DateTime64(3, 'UTC') COMMENT 'When Kafka stored it',
    given_channel    LowCardinality(String) COMMENT 'Where it was given',
    given_touchpoint LowCardinality(String) COMMENT 'Name of the touchpoint that it came with',
    kind             LowCardinality(String) COMMENT 'nps, csat, ces, stars, text',
    score            Nullable(Int8) COMMENT 'Score in the scale of its kind',
    sentiment        LowCardinality(String) COMMENT 'Of the text: negative, neutral, positive; empty: none',
    bound            LowCardinality(String) COMMENT 'How the next four came about: id (the source said), rule, itself',
    about_at         DateTime64(3, 'UTC') COMMENT 'When the touchpoint occurred that it is about',
    channel          LowCardinality(String) COMMENT 'Channel of the touchpoint that it is about',
    touchpoint       LowCardinality(String) COMMENT 'Name of the touchpoint that it is about',
    stage            UInt8 COMMENT 'Rank of the stage of the journey then; 0: not of this journey, or none yet',
    segment          LowCardinality(String) COMMENT 'Property `segment` of the answer, else of the touchpoint that its source named',
    nps              Nullable(Int8) COMMENT '1 promoter (9–10), 0 passive, −1 detractor (0–6): NPS = 100 × avg(nps)',
    satisfied        Nullable(UInt8) COMMENT 'CSAT of 4–5: avg(satisfied) is the share',
    easy             Nullable(UInt8) COMMENT 'CES of 5–7: avg(easy) is the share; avg(score) where kind = ''ces'' the mean',
    low              Nullable(UInt8) COMMENT 'Detractor, CSAT or stars of 1–2, CES of 1–3, negative text; NULL: says nothing',
    feeling          Nullable(Float64) COMMENT 'On −1 … +1, as peak_end in v_journeys'
)
AS
WITH
    live AS (SELECT generation FROM live_generation),
    given AS (SELECT person_id, event_id FROM person_touchpoints WHERE feedback != ''),
    answers AS
    (
        SELECT
            person_id, event_id, occurred_at, arrived_at, channel, name, feedback, score, sentiment,
            row_number() OVER (PARTITION BY person_id, occurred_at, feedback, score ORDER BY sequence, toString(event_id)) AS place
        FROM person_touchpoints FINAL
        WHERE generation = (SELECT generation FROM live) AND feedback != '' AND (person_id, event_id) IN (given)
    ),
    in_journeys AS
    (
        SELECT
            person_id, journey_id, definition, path_time[step + 1] AS occurred_at, kind AS feedback, felt AS score,
            path_time, path_channel, path_touchpoint, arrayFill(rank -> rank > 0, path_stage) AS ranks,
            arrayLastIndex(
                (rank, number) -> number <= step AND rank > 0 AND rank != path_stage[step + 1] AND NOT has(feedback_step, number - 1),
                path_stage, arrayEnumerate(path_stage)
            ) AS before,
            step + 1 AS own,
            row_number() OVER (PARTITION BY person_id, definition, occurred_at, feedback, score ORDER BY started_at, step) AS place
        FROM
        (
            SELECT
                person_id, journey_id, definition, started_at, path_time, path_channel, path_touchpoint, path_stage, feedback_step,
                kind, felt, step
            FROM journeys FINAL
            ARRAY JOIN feedback_kind AS kind, feedback_score AS felt, feedback_step AS step
            WHERE generation = (SELECT generation FROM live) AND notEmpty(feedback_kind)
        )
        WHERE step < length(path_time)
    ),
    spaces AS
    (
        SELECT source, SHA1(concat(unhex('7e0b9c525a3c5d0e9a536f1d3c1f0a77'), source)) AS hash, concat(
            substring(hash, 1, 6), char(bitOr(bitAnd(reinterpretAsUInt8(substring(hash, 7, 1)), 15), 80)), substring(hash, 8, 1),
            char(bitOr(bitAnd(reinterpretAsUInt8(substring(hash, 9, 1)), 63), 128)), substring(hash, 10, 7)) AS space
        FROM (SELECT DISTINCT source FROM touchpoints)
    ),
    facts AS
    (
        SELECT event_id, source, feedback_about, JSONExtractString(properties, 'segment') AS segment
        FROM touchpoints FINAL WHERE event_id IN (SELECT event_id FROM given)
    ),
    named AS
    (
        SELECT
            facts.event_id AS answer, spaces.source != facts.source AS strange, SHA1(concat(space, feedback_about)) AS hash,
            toUUID(UUIDNumToString(toFixedString(concat(
                substring(hash, 1, 6), char(bitOr(bitAnd(reinterpretAsUInt8(substring(hash, 7, 1)), 15), 80)), substring(hash, 8, 1),
                char(bitOr(bitAnd(reinterpretAsUInt8(substring(hash, 9, 1)), 63), 128)), substring(hash, 10, 7)), 16))) AS target
        FROM facts CROSS JOIN spaces WHERE feedback_about != ''
    ),
    targets AS
    (
        SELECT
            answers.event_id AS answer,
            argMin((theirs.occurred_at, theirs.channel, theirs.name, theirs.event_id), strange) AS about
        FROM answers
        INNER JOIN named ON named.answer = answers.event_id
        INNER JOIN
        (
            SELECT person_id, event_id, occurred_at, channel, name FROM person_touchpoints FINAL
            WHERE generation = (SELECT generation FROM live) AND person_id IN (SELECT person_id FROM given)
                AND event_id IN (SELECT target FROM named)
        ) AS theirs ON theirs.event_id = named.target AND theirs.person_id = answers.person_id
        GROUP BY answer
    ),
    segments AS
    (
        SELECT event_id, JSONExtractString(properties, 'segment') AS segment
        FROM touchpoints FINAL WHERE event_id IN (SELECT target FROM named)
    )
SELECT
    answers.event_id AS event_id, answers.person_id AS person_id,
    if(notEmpty(in_journeys.definition), toNullable(in_journeys.journey_id), NULL) AS journey_id,
    in_journeys.definition AS definition, answers.occurred_at AS answered_at, answers.arrived_at AS arrived_at,
    answers.channel AS given_channel, answers.name AS given_touchpoint, answers.feedback AS kind,
    nullIf(answers.score, -1) AS score, answers.sentiment AS sentiment,
    multiIf(notEmpty(tupleElement(targets.about, 2)), 'id', in_journeys.before > 0, 'rule', 'itself') AS bound,
    multiIf(bound = 'id', tupleElement(targets.about, 1), bound = 'rule', path_time[before], answered_at) AS about_at,
    multiIf(bound = 'id', tupleElement(targets.about, 2), bound = 'rule', path_channel[before], given_channel) AS channel,
    multiIf(bound = 'id', tupleElement(targets.about, 3), bound = 'rule', path_touchpoint[before], given_touchpoint) AS touchpoint,
    if(
        bound = 'id', arrayFirst((rank, at, name) -> at = about_at AND name = touchpoint, ranks, path_time, path_touchpoint),
        ranks[if(bound = 'rule', before, own)]
    ) AS stage,
    if(notEmpty(facts.segment), facts.segment, segments.segment) AS segment,
    if(kind = 'nps', toNullable(multiIf(score >= 9, 1, score >= 7, 0, -1)), NULL) AS nps,
    if(kind = 'csat', toNullable(score >= 4), NULL) AS satisfied,
    if(kind = 'ces', toNullable(score >= 5), NULL) AS easy,
    multiIf(
        kind = 'nps', toNullable(score <= 6), kind IN ('csat', 'stars'), score <= 2, kind = 'ces', score <= 3,
        sentiment != '', sentiment = 'negative', NULL
    ) AS low,
    multiIf(
        kind = 'nps', (score - 5) / 5, kind IN ('csat', 'stars'), (score - 3) / 2, kind = 'ces', (score - 4) / 3,
        sentiment = '', NULL, transform(sentiment, ['negative', 'positive'], [-1., 1.], 0.)
    ) AS feeling
FROM answers
LEFT JOIN in_journeys
    ON in_journeys.person_id = answers.person_id AND in_journeys.occurred_at = answers.occurred_at
    AND in_journeys.feedback = answers.feedback AND in_journeys.score = answers.score AND in_journeys.place = answers.place
LEFT JOIN targets ON targets.answer = answers.event_id
LEFT JOIN facts ON facts.event_id = answers.event_id
LEFT JOIN segments ON segments.event_id = tupleElement(targets.about, 4)
COMMENT 'One row per answer and journey that it was given in, with the touchpoint that it is about. Exact now.';

-- What was done about who recommends us or not: changes in their order, of which the first with a number stands, so that of two who
-- take the same customer at once one is told that the other was faster.
CREATE TABLE IF NOT EXISTS follow_ups
(
    event_id UUID,
    number   UInt32,
    state    Enum8('open' = 1, 'taken' = 2, 'done' = 3),
    by       LowCardinality(String),
    at       DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'),
    earlier  UInt64 DEFAULT 18446744073709551615 - toUnixTimestamp64Micro(at),
    CONSTRAINT complete CHECK event_id != toUUID('00000000-0000-0000-0000-000000000000') AND number > 0
)
ENGINE = ReplacingMergeTree(earlier)
ORDER BY (event_id, number)
SETTINGS old_parts_lifetime = 60, cleanup_delay_period = 10, max_cleanup_delay_period = 10;

CREATE VIEW IF NOT EXISTS v_follow_ups
(
    event_id    UUID COMMENT 'The answer; joins v_feedback',
    person_id   UUID COMMENT 'The customer',
    wanted      LowCardinality(String) COMMENT 'call_back (a detractor, 0–6) or thank (a promoter, 9–10)',
    score       Int8 COMMENT 'NPS, 0–10',
    answered_at DateTime64(3, 'UTC') COMMENT 'When it was given',
    arrived_at  DateTime64(3, 'UTC') COMMENT 'When Kafka stored it',
    state       LowCardinality(String) COMMENT 'open, taken or done',
    by          LowCardinality(String) COMMENT 'Who took it or did it; empty: nobody',
    since       Nullable(DateTime64(3, 'UTC')) COMMENT 'Since when it is in this state; NULL: since it was given',
    changes     UInt32 COMMENT 'How often its state was changed'
)
AS
WITH said AS
(
    SELECT event_id, max(number) AS changes, argMax((state, by, at), number) AS last FROM follow_ups FINAL GROUP BY event_id
)
SELECT
    answers.event_id AS event_id, answers.person_id AS person_id, if(answers.score >= 9, 'thank', 'call_back') AS wanted,
    answers.score AS score, answers.occurred_at AS answered_at, answers.arrived_at AS arrived_at,
    if(said.changes = 0, 'open', CAST(tupleElement(said.last, 1), 'String')) AS state,
    if(state = 'open', '', tupleElement(said.last, 2)) AS by,
    if(said.changes = 0, NULL, toNullable(CAST(tupleElement(said.last, 3), 'DateTime64(3, ''UTC'')'))) AS since,
    said.changes AS changes
FROM
(
    SELECT event_id, person_id, score, occurred_at, arrived_at
    FROM person_touchpoints FINAL
    WHERE generation = (SELECT generation FROM live_generation) AND feedback = 'nps' AND (score <= 6 OR score >= 9)
        AND (person_id, event_id) IN (SELECT person_id, event_id FROM person_touchpoints WHERE feedback = 'nps')
) AS answers
LEFT JOIN said ON said.event_id = answers.event_id
COMMENT 'Detractors to call back and promoters to thank, with what was done about it. Exact now.';
