-- What is worse than usual for its hour, from the topic `alerts`: absolute and versioned. Whom an alert is about is not kept
-- here: it follows from the journeys, and so it goes with whoever is erased.
CREATE TABLE IF NOT EXISTS alerts
(
    alert_id    UUID,
    change      Enum8('opened' = 1, 'widened' = 2, 'resolved' = 3),
    journey     LowCardinality(String),
    stage       UInt8,
    channel     LowCardinality(String),
    measure     Enum8('progress' = 1, 'drop_off' = 2),
    since       DateTime64(3, 'UTC'),
    opened_at   DateTime64(3, 'UTC'),
    resolved_at DateTime64(3, 'UTC'),
    settled     Bool,
    stays       UInt64,
    expected    Float64,
    observed    Float64,
    lost        Float64,
    also        Array(String),
    link        String,
    version     UInt64,
    CONSTRAINT complete CHECK notEmpty(journey) AND alert_id != toUUID('00000000-0000-0000-0000-000000000000')
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (opened_at, alert_id)
SETTINGS old_parts_lifetime = 60;

CREATE VIEW IF NOT EXISTS v_alerts
(
    alert_id    UUID COMMENT 'The alert',
    status      LowCardinality(String) COMMENT 'open or resolved',
    journey     LowCardinality(String) COMMENT 'Journey of journeys.yaml',
    stage       UInt8 COMMENT 'Rank of the stage at which customers are stuck; its name is in v_stages',
    channel     LowCardinality(String) COMMENT 'Channel in which they are',
    measure     LowCardinality(String) COMMENT 'progress: they do not move on in the usual time; drop_off: they fell silent',
    since       DateTime64(3, 'UTC') COMMENT 'When the loss began: the customers counted entered, or were last heard of, from then on',
    opened_at   DateTime64(3, 'UTC') COMMENT 'When the alert was raised',
    resolved_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was over; NULL: it is not',
    settled     Bool COMMENT 'Resolved because it lasted so long that it has become the usual',
    stays       UInt64 COMMENT 'How often customers were at the stage there since the loss began',
    expected    Float64 COMMENT 'Share that usually moves on in the usual time, or drops off, at this hour of the week',
    observed    Float64 COMMENT 'The same share since the loss began',
    lost        Float64 COMMENT 'Customers that went on fewer than usual',
    also        Array(String) COMMENT 'What else fails with it: journey·stage·channel·measure',
    link        String COMMENT 'Where to look'
)
AS SELECT
    alert_id, if(change = 'resolved', 'resolved', 'open') AS status, journey, stage, channel,
    CAST(measure, 'String') AS measure, since, opened_at, nullIf(resolved_at, toDateTime64(0, 3, 'UTC')) AS resolved_at, settled,
    stays, expected, observed, lost, also, link
FROM alerts FINAL
COMMENT 'Alerts, one row each as it stands. Exact now.';
