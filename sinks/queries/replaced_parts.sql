SELECT concat(table, '/', name) FROM system.parts WHERE database = currentDatabase() AND NOT active AND table IN %(tables)s
