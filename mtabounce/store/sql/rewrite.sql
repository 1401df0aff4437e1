-- What is read and written where inputs are judged again.

-- name: inputs_to_judge
SELECT id, source, reverse_path, forward_paths, peer, trusted, received_at, content, state, outcome
  FROM mtabounce.inputs
 WHERE id > %(after)s
   AND state <> 'pending'
   AND kept = 'full'
   AND (%(ids)s::bigint[] IS NULL OR id = ANY (%(ids)s))
   AND (%(since)s::timestamptz IS NULL OR received_at >= %(since)s)
   AND (%(state)s::text IS NULL OR state = %(state)s)
   AND (%(outcome)s::text IS NULL OR outcome = %(outcome)s)
 ORDER BY id
 LIMIT %(limit)s;

-- name: logged_to_judge
-- What logs said: there is no input of it, and what the rules look at stands here.
-- Recipients are bounded, too: a merge join would read them from the first on, for each batch.
SELECT o.recipient_id, r.recipient, o.occurred_at, o.key, o.bounce_id, o.input_id, o.source, o.parser, o.trust,
       o.outcome, o.type, o.reason, o.rule, o.status, o.final_recipient, o.original_recipient, o.action,
       o.diagnostic_code, o.remote_mta, o.reporting_mta, o.original_message_id, o.queue_id, o.campaign, o.facts
  FROM mtabounce.observations AS o
  JOIN mtabounce.recipients AS r ON r.id = o.recipient_id
 WHERE (o.recipient_id, o.occurred_at, o.key) > (%(recipient_id)s::bigint, %(occurred_at)s::timestamptz, %(key)b::bytea)
   AND r.id >= %(recipient_id)s::bigint
   AND o.input_id IS NULL
   AND o.parser = 'log'
   AND (%(since)s::timestamptz IS NULL OR o.occurred_at >= %(since)s)
   AND (%(outcome)s::text IS NULL OR o.outcome = %(outcome)s)
 ORDER BY o.recipient_id, o.occurred_at, o.key
 LIMIT %(limit)s;

-- name: trimmed
-- How many of them are left out, as not all of them is kept.
SELECT count(*)
  FROM mtabounce.inputs
 WHERE kept <> 'full'
   AND (%(ids)s::bigint[] IS NULL OR id = ANY (%(ids)s))
   AND (%(since)s::timestamptz IS NULL OR received_at >= %(since)s)
   AND (%(state)s::text IS NULL OR state = %(state)s)
   AND (%(outcome)s::text IS NULL OR outcome = %(outcome)s);

-- name: said_by_inputs
-- What these inputs said until now.
SELECT o.recipient_id, r.recipient, o.occurred_at, o.key, o.bounce_id, o.input_id, o.outcome, o.type,
       o.reason, o.rule, o.status
  FROM mtabounce.observations AS o
  JOIN mtabounce.recipients AS r ON r.id = o.recipient_id
 WHERE o.input_id = ANY (%(ids)s::bigint[]);

-- name: delete_observations
DELETE FROM mtabounce.observations AS o
 USING json_to_recordset(%(rows)s::json) AS r (recipient_id bigint, occurred_at timestamptz, key text)
 WHERE o.recipient_id = r.recipient_id
   AND o.occurred_at = r.occurred_at
   AND o.key = decode(r.key, 'hex');

-- name: evidence_of
SELECT o.bounce_id AS id, r.recipient, o.type, o.reason, o.fault, o.rule, o.status, o.reply_code,
       o.diagnostic_code, o.remote_mta, o.original_message_id, o.queue_id, o.campaign, o.trust, o.source,
       o.key AS decisive, o.occurred_at AS decisive_at, o.facts
  FROM mtabounce.observations AS o
  JOIN mtabounce.recipients AS r ON r.id = o.recipient_id
 WHERE o.bounce_id = ANY (%(ids)s::bigint[]);

-- name: delete_refs_of
DELETE FROM mtabounce.bounce_refs
 WHERE bounce_id = ANY (%(ids)s::bigint[]);

-- name: said_elsewhere
-- Which of these another input said too: copies of one mail count once, for the first of them.
SELECT g.input_id, r.recipient, o.key
  FROM json_to_recordset(%(rows)s::json) AS g (recipient text, key text, input_id bigint)
  JOIN mtabounce.recipients AS r ON r.recipient = g.recipient
  JOIN mtabounce.observations AS o
    ON o.recipient_id = r.id AND o.key = decode(g.key, 'hex')
 WHERE o.input_id IS DISTINCT FROM g.input_id;
