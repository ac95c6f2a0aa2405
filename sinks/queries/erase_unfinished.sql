-- Erasures that broke off ten minutes ago or earlier while they deleted.
SELECT partition
FROM system.parts
WHERE database = currentDatabase() AND table = 'erasing' AND active
GROUP BY partition
HAVING max(modification_time) < now() - 600
