SELECT
    toJSONString((
        event_id, source, source_event_id, address, mapSort(identifiers), channel, name,
        toUnixTimestamp64Milli(occurred_at), clock, stream, sequence, revision, page, referrer, campaign, store, agent, queue,
        device, locale, amount, currency, feedback, score, sentiment, feedback_text, feedback_about, consent_analytics,
        consent_marketing
    )),
    properties
FROM touchpoints FINAL
ORDER BY event_id
SETTINGS max_bytes_before_external_sort = 1000000000
