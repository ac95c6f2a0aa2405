-- Mutations of an erasure that have not ended, and why the last attempt at them failed, if it did.
SELECT latest_fail_reason
FROM system.mutations
WHERE database = currentDatabase() AND table = %(table)s AND NOT is_done AND position(command, %(erasure)s) > 0
