-- `_offset` and `_at` (append time, ms) are put in front of each record by the sink. Earlier, higher version: the first of
-- equal revisions stands. The time is asked first, because a resize moves a key to a partition whose offsets begin at 0.
INSERT INTO touchpoints
(
    event_id, source, source_event_id, address, identifiers, channel, name, occurred_at, received_at, sent_at, clock, stream,
    sequence, revision, content, page, referrer, campaign, store, agent, queue, device, locale, amount, currency, feedback,
    score, sentiment, feedback_text, feedback_about, consent_analytics, consent_marketing, properties, version, is_deleted
)
SELECT
    event_id, source, source_event_id, address, identifiers, channel, name,
    fromUnixTimestamp64Milli(occurred_at, 'UTC'), fromUnixTimestamp64Milli(received_at, 'UTC'),
    fromUnixTimestamp64Milli(sent_at, 'UTC'), if(clock = '', 'as_sent', clock), stream, sequence, revision,
    toFixedString(substring(unhex(content), 1, 16), 16),
    tupleElement(context, 'page'), tupleElement(context, 'referrer'), tupleElement(context, 'campaign'),
    tupleElement(context, 'store'), tupleElement(context, 'agent'), tupleElement(context, 'queue'),
    tupleElement(context, 'device'), tupleElement(context, 'locale'),
    tupleElement(value, 'amount'), tupleElement(value, 'currency'),
    tupleElement(feedback, 'kind'), tupleElement(feedback, 'score'), tupleElement(feedback, 'sentiment'),
    tupleElement(feedback, 'text'), tupleElement(feedback, 'about'),
    tupleElement(consent, 'analytics'), tupleElement(consent, 'marketing'), properties,
    bitShiftLeft(toUInt128(revision), 96) + bitShiftLeft(toUInt128(281474976710655 - _at), 48) + (281474976710655 - _offset),
    retracted
FROM input('
    event_id UUID, source LowCardinality(String), source_event_id String, address String,
    identifiers Map(LowCardinality(String), String), channel LowCardinality(String), name LowCardinality(String),
    occurred_at Int64, received_at Int64, sent_at Nullable(Int64), clock LowCardinality(String), stream String,
    sequence Nullable(Int32), revision UInt32, content String, retracted Bool,
    context Tuple(page String, referrer String, campaign String, store String, agent String, queue String, device String,
                  locale String),
    value Tuple(amount Int64, currency String),
    feedback Tuple(kind String, score Nullable(Int8), sentiment String, text String, about String),
    consent Tuple(analytics Nullable(Bool), marketing Nullable(Bool)),
    properties String, _offset UInt64, _at UInt64')
FORMAT JSONEachRow
