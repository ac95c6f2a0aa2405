-- Every stored row of the touchpoints in a range of ids, touchpoint by touchpoint, by falling version, retracted ones too. The
-- append time and the offset are in the version: 0001_touchpoints.sql.
SELECT
    event_id, source, address, identifiers, channel, name, toUnixTimestamp64Milli(occurred_at),
    toUnixTimestamp64Milli(received_at), lower(hex(content)), toUnixTimestamp64Milli(sent_at), source_event_id, clock,
    sequence, stream, revision, is_deleted, [page, referrer, campaign, store, agent, queue, device, locale], amount, currency,
    feedback, score, sentiment, feedback_text, feedback_about, consent_analytics, consent_marketing, properties,
    toInt64(281474976710655 - bitAnd(bitShiftRight(version, 48), 281474976710655)) AS appended,
    toInt64(281474976710655 - bitAnd(version, 281474976710655)) AS place
FROM touchpoints
WHERE event_id >= toUUID({low:String}) AND event_id < toUUID({high:String})
ORDER BY event_id, version DESC
