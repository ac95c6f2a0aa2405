SELECT
    event_id, person_id, wanted, score, toUnixTimestamp64Milli(answered_at), state, by,
    ifNull(toUnixTimestamp64Milli(since), 0), changes
FROM v_follow_ups
WHERE (empty({states:Array(String)}) OR has({states:Array(String)}, state)) AND ({wanted:String} = '' OR wanted = {wanted:String})
    AND answered_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') AND startsWith(toString(event_id), {id:String})
ORDER BY answered_at DESC, event_id
LIMIT {most:UInt32}
