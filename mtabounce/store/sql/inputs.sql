-- The inbox.

-- name: append
INSERT INTO mtabounce.inputs (source, reverse_path, forward_paths, peer, trusted, received_at, content)
SELECT r.source, r.reverse_path, r.forward_paths, r.peer, r.trusted, r.received_at, r.content
  FROM ROWS FROM (
         json_to_recordset(%(rows)s::json)
           AS (source text, reverse_path text, forward_paths text[], peer text, trusted boolean,
               received_at timestamptz),
         unnest(%(contents)b::bytea[])
       ) AS r (source, reverse_path, forward_paths, peer, trusted, received_at, content);

-- name: claim
-- The lock lasts as long as the transaction: a worker that dies gives its inputs back. The first
-- comes whatever its size, others as long as they fit.
WITH locked AS (
    SELECT id, source, reverse_path, forward_paths, peer, trusted, received_at, content
      FROM mtabounce.inputs
     WHERE state = 'pending'
     ORDER BY id
     LIMIT %(limit)s
       FOR UPDATE SKIP LOCKED
)
SELECT id, source, reverse_path, forward_paths, peer, trusted, received_at, content
  FROM (SELECT locked.*, sum(octet_length(content)) OVER (ORDER BY id) - octet_length(content) AS before
          FROM locked) AS sized
 WHERE before < %(octets)s
 ORDER BY id;

-- name: finish
UPDATE mtabounce.inputs AS i
   SET state = r.state, outcome = r.outcome, parser = r.parser, error = r.error, processed_at = now(),
       content = CASE WHEN i.kept = 'none' THEN '' ELSE i.content END,  -- it names somebody who was erased
       reverse_path = CASE WHEN i.kept = 'none' THEN NULL ELSE i.reverse_path END,
       forward_paths = CASE WHEN i.kept = 'none' THEN '{}' ELSE i.forward_paths END
  FROM json_to_recordset(%(rows)s::json) AS r (id bigint, state text, outcome text, parser text, error text)
 WHERE i.id = r.id;

-- name: trim
UPDATE mtabounce.inputs AS i
   SET kept = r.kept, content = r.content
  FROM ROWS FROM (
         json_to_recordset(%(rows)s::json) AS (id bigint, kept text),
         unnest(%(contents)b::bytea[])
       ) AS r (id, kept, content)
 WHERE i.id = r.id
   AND i.kept = 'full';

-- name: list_inputs
SELECT id, source, reverse_path, forward_paths, peer, trusted, received_at, state, outcome, parser,
       error, processed_at, kept, length(content) AS size
  FROM mtabounce.inputs
 WHERE (%(state)s::text IS NULL OR state = %(state)s)
   AND (%(outcome)s::text IS NULL OR outcome = %(outcome)s)
   AND (%(source)s::text IS NULL OR source = %(source)s)
   AND (%(since)s::timestamptz IS NULL OR received_at >= %(since)s)
   AND (%(before)s::bigint IS NULL OR id < %(before)s)
 ORDER BY id DESC
 LIMIT %(limit)s;

-- name: get_input
SELECT id, source, reverse_path, forward_paths, peer, trusted, received_at, state, outcome, parser,
       error, processed_at, kept, length(content) AS size
  FROM mtabounce.inputs
 WHERE id = %(id)s;

-- name: get_content
SELECT content
  FROM mtabounce.inputs
 WHERE id = %(id)s;

-- name: backlog
SELECT count(*) FILTER (WHERE state = 'pending') AS pending,
       count(*) FILTER (WHERE state = 'failed') AS failed,
       min(received_at) FILTER (WHERE state = 'pending') AS oldest_pending_at
  FROM mtabounce.inputs
 WHERE state IN ('pending', 'failed');

-- name: undetermined
-- What nobody could judge, by its words, with an example; that of a log has no input.
SELECT diagnostic_code, count(*), max(bounce_id)
  FROM mtabounce.observations
 WHERE reason = 'undetermined'
   AND bounce_id IS NOT NULL
   AND (%(since)s::timestamptz IS NULL OR occurred_at >= %(since)s)
 GROUP BY diagnostic_code;

-- name: unrecognized
-- Their beginnings: nobody looks further to tell one kind from another.
SELECT id, substring(content FOR 65536) AS content
  FROM mtabounce.inputs
 WHERE outcome = 'unrecognized'
   AND (%(since)s::timestamptz IS NULL OR received_at >= %(since)s)
 ORDER BY id DESC
 LIMIT %(limit)s;
