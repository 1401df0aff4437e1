-- Whether the database can do its work now.

-- name: probe
-- A server that is read-only refuses the INSERT, which adds nothing. The sort is larger than the
-- memory it gets, so it writes some 700 KB to the disk, which a full one refuses; that leaves no
-- trace, neither a row nor a line of WAL.
SET LOCAL work_mem = '64kB';
INSERT INTO mtabounce.inputs (source, received_at, content)
SELECT '', now(), '' WHERE false;
SELECT count(*)
  FROM (SELECT repeat('x', 100) || n AS line FROM generate_series(1, 5000) AS n ORDER BY line) AS sorted;
