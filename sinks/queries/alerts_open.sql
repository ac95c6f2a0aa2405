SELECT
    lower(replaceAll(toString(alert_id), '-', '')), CAST(change, 'String'), journey, stage, channel, CAST(measure, 'String'),
    toUnixTimestamp64Milli(since), toUnixTimestamp64Milli(opened_at), toUnixTimestamp64Milli(resolved_at), settled, stays,
    expected, observed, lost, also, version
FROM alerts FINAL
WHERE change != 'resolved'
