SELECT DISTINCT what FROM erasing WHERE erasure_id = %(erasure)s
