-- name: ensure_partitions
-- Make the missing monthly partitions of a span of time; gives how many it made.
SELECT mtabounce.ensure_partitions(%(since)s, %(until)s);
