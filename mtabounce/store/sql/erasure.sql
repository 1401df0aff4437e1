-- What is held about one address, and how it goes.

-- name: erased_among
-- Which of these addresses were erased; what they are called since then counts, too.
SELECT asked.name
  FROM unnest(%(names)b::text[]) AS asked (name)
 WHERE asked.name LIKE '%%@erased.invalid'
UNION ALL
SELECT agreed.name
  FROM (SELECT asked.name, e.recipient
          FROM unnest(%(names)b::text[]) AS asked (name)
          JOIN mtabounce.erased AS e
            ON e.bucket = hashtextextended(asked.name, (SELECT seed FROM mtabounce.erasure_key)) & 4294967295
        OFFSET 0) AS agreed  -- so that only those that agree are hashed
 WHERE agreed.recipient = mtabounce.erased_name(agreed.name);

-- name: empty_inputs
-- They named an address that was erased.
UPDATE mtabounce.inputs
   SET content = '', kept = 'none', forward_paths = '{}', reverse_path = NULL
 WHERE id = ANY (%(ids)s::bigint[]);

-- name: live_again
-- An operator wants these mailed again: they are addresses as others are.
WITH gone AS (
    DELETE FROM mtabounce.erased AS e
     USING unnest(%(names)s::text[]) AS asked (name)
     WHERE e.recipient = mtabounce.erased_name(asked.name)
    RETURNING e.recipient)
DELETE FROM mtabounce.suppressions AS s
 USING gone
 WHERE s.recipient = gone.recipient;

-- name: lock
SELECT id
  FROM mtabounce.recipients
 WHERE recipient = %(recipient)s
   FOR UPDATE;

-- name: inputs_of
-- Inputs that said something about it.
SELECT DISTINCT o.input_id
  FROM mtabounce.observations AS o
 WHERE o.recipient_id = %(id)s
   AND o.input_id IS NOT NULL;

-- name: mark_erased
INSERT INTO mtabounce.erased (recipient, bucket)
VALUES (mtabounce.erased_name(%(recipient)s), mtabounce.erased_bucket(%(recipient)s))
ON CONFLICT (recipient) DO NOTHING;

-- name: keep_suppressed
-- For good: by the gravest of what suppressed it, or because it was erased.
INSERT INTO mtabounce.suppressions (recipient, type, reason, cause, scope, action, since, until)
SELECT mtabounce.erased_name(%(recipient)s), f.type, f.reason, f.cause, 'all', f.action, f.since, NULL
  FROM (SELECT s.type, CASE WHEN s.type IS NULL THEN 'erased' ELSE s.reason END AS reason, s.cause, s.action, s.since,
               array_position(ARRAY['complaint', 'hard'], s.type) AS place
          FROM mtabounce.suppressions AS s
         WHERE s.recipient = %(recipient)s
           AND (s.until IS NULL OR s.until > now())
        UNION ALL
        SELECT NULL, 'erased', 'manual', 'blocklist', now(), 9) AS f
 ORDER BY f.place NULLS LAST
 LIMIT 1
ON CONFLICT (recipient, scope) DO NOTHING;

-- name: rows_of
-- Tables that hold rows about an address, by its id or its name.
SELECT c.relname AS table_name, bool_or(a.attname = 'recipient_id') AS by_id
  FROM pg_class AS c
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname IN ('recipient', 'recipient_id') AND NOT a.attisdropped
 WHERE c.relnamespace = 'mtabounce'::regnamespace
   AND c.relkind IN ('r', 'p')
   AND NOT c.relispartition
   AND c.relname NOT IN ('erased', 'recipients')
 GROUP BY c.relname
 ORDER BY c.relname;

-- name: text_columns
-- Columns of tables and partitions that may hold text about an address. Names of operators, of
-- sinks and of mailboxes are no recipients.
SELECT c.relname AS table_name, array_agg(a.attname::text) AS columns,
       array_agg(format_type(a.atttypid, NULL)) AS types
  FROM pg_class AS c
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = 'mtabounce'::regnamespace
   AND c.relkind = 'r'
   AND a.atttypid IN ('text'::regtype, 'text[]'::regtype, 'jsonb'::regtype)
   AND a.attgenerated = ''
   AND c.relname NOT IN ('migrations', 'erased', 'api_tokens', 'sinks', 'return_path_keys', 'mailbox_uids', 'webhooks')
 GROUP BY c.relname
 ORDER BY c.relname;

-- name: deferrals_of
SELECT to_jsonb(p)
  FROM mtabounce.pending_deliveries AS p
 WHERE %(recipient)s IN (lower(p.final_recipient), lower(p.original_recipient));

-- name: delete_deferrals
DELETE FROM mtabounce.pending_deliveries
 WHERE %(recipient)s IN (lower(final_recipient), lower(original_recipient));

-- name: id_of
SELECT id
  FROM mtabounce.recipients
 WHERE recipient = %(recipient)s;

-- name: recipient_row
SELECT to_jsonb(r)
  FROM mtabounce.recipients AS r
 WHERE r.recipient = %(recipient)s;

-- name: delete_recipient
DELETE FROM mtabounce.recipients
 WHERE recipient = %(recipient)s;

-- name: delete_refs
DELETE FROM mtabounce.bounce_refs AS r
 USING mtabounce.bounces AS b
 WHERE b.recipient_id = %(id)s
   AND r.bounce_id = b.id;

-- name: unmark
WITH gone AS (
    DELETE FROM mtabounce.erased
     WHERE recipient = mtabounce.erased_name(%(recipient)s)
    RETURNING recipient)
DELETE FROM mtabounce.suppressions AS s
 USING gone
 WHERE s.recipient = gone.recipient;

-- name: input_rows
SELECT to_jsonb(i) - 'content'
  FROM mtabounce.inputs AS i
 WHERE i.id = ANY (%(ids)s::bigint[])
 ORDER BY i.id;

-- name: empty_once_read
-- They wait for a worker, and may say something of others.
UPDATE mtabounce.inputs
   SET kept = 'none'
 WHERE id = ANY (%(ids)s::bigint[])
   AND state = 'pending'
RETURNING id;

-- name: log_states
SELECT id, state
  FROM mtabounce.log_files
 WHERE state <> '';

-- name: log_ends
SELECT id, before
  FROM mtabounce.log_files
 WHERE before <> '';

-- name: forget_log_end
-- What its reader wrote meanwhile stays. Without it, the file is known by its beginning.
UPDATE mtabounce.log_files
   SET before = ''
 WHERE id = %(id)s
   AND before = %(old)s;

-- name: put_log_state
-- Unless its reader was on meanwhile.
UPDATE mtabounce.log_files
   SET state = %(new)s
 WHERE id = %(id)s
   AND state = %(old)s;

-- name: count_contents
SELECT count(*)
  FROM mtabounce.inputs
 WHERE kept <> 'none';

-- name: contents
SELECT id, content
  FROM mtabounce.inputs
 WHERE id > %(after)s
   AND kept <> 'none'
 ORDER BY id
 LIMIT %(limit)s;

-- name: refusals
SELECT id, body
  FROM mtabounce.webhook_refusals;

-- name: delete_refusals
DELETE FROM mtabounce.webhook_refusals
 WHERE id = ANY (%(ids)s::bigint[]);
