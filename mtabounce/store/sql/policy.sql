-- What policy knows of addresses, and what it decided.

-- name: clock
SELECT clock_timestamp();

-- name: bounces_of
-- The failures of these recipients, as policy counts them. It was when the best
-- evidence says, so that a claim moves nothing; and not later than it was heard of: the clocks of
-- others run ahead. A message was refused where a log tells so, or a webhook that did not tell before
-- that it was delivered; else it may have been taken first.
WITH delivered AS MATERIALIZED (
    SELECT o.recipient_id, named.kind, named.name, min(o.occurred_at) AS at
      FROM mtabounce.observations AS o
     CROSS JOIN LATERAL (VALUES ('message', o.original_message_id), ('queue', o.queue_id)) AS named (kind, name)
     WHERE o.recipient_id = ANY (%(ids)b::bigint[])
       AND o.outcome = 'delivered'
       AND o.trust = 'proven'
       AND named.name <> ''
     GROUP BY o.recipient_id, named.kind, named.name)
SELECT b.recipient_id, b.recipient, b.id, b.type, b.reason, b.fault, b.trust, b.original_message_id,
       least(b.decisive_at, b.created_at) AS at, coalesce(c.campaign, '') AS campaign, b.meta ->> 'list_id' AS list_id,
       b.meta ->> 'from' AS sender,
       (SELECT h.incident_id
          FROM mtabounce.incident_bounces AS h
          JOIN mtabounce.incidents AS i ON i.id = h.incident_id
         WHERE h.bounce_id = b.id AND i.kind = 'jump' AND i.state <> 'confirmed') AS incident,
       NOT (EXISTS (SELECT 1 FROM unnest(b.sources) AS s WHERE s LIKE 'log:%%')
            OR EXISTS (SELECT 1 FROM unnest(b.sources) AS s WHERE s LIKE 'webhook:%%')
               AND (b.original_message_id <> '' OR b.queue_id <> '')
               AND coalesce(least(m.at, q.at) > least(b.decisive_at, b.created_at), true)) AS was_taken
  FROM mtabounce.bounces AS b
  LEFT JOIN delivered AS m
    ON m.recipient_id = b.recipient_id AND m.kind = 'message' AND m.name = b.original_message_id
  LEFT JOIN delivered AS q
    ON q.recipient_id = b.recipient_id AND q.kind = 'queue' AND q.name = b.queue_id
  LEFT JOIN mtabounce.campaigns AS c ON c.id = b.campaign_id
 WHERE b.recipient_id = ANY (%(ids)b::bigint[])
   AND (%(trusts)s::text[] IS NULL OR b.trust = ANY (%(trusts)s) OR b.created_at = now());

-- name: deliveries_of
-- The last one says all of where they stand; those that something was decided by, why it was.
SELECT id AS recipient_id, last_delivered_at AS delivered_at
  FROM mtabounce.recipients
 WHERE id = ANY (%(ids)b::bigint[])
   AND last_delivered_at IS NOT NULL
UNION
SELECT recipient_id, decided_at
  FROM mtabounce.decisions
 WHERE recipient_id = ANY (%(ids)b::bigint[])
   AND (action = 'clear' OR action = 'lift' AND why = %(proof)s);

-- name: words_of_operators
SELECT recipient_id, id, action, scope, type, reason, bounces, undoes, until, decided_at
  FROM mtabounce.decisions
 WHERE recipient_id = ANY (%(ids)b::bigint[])
   AND action IN ('add', 'remove');

-- name: kept_by_retention
SELECT recipient_id, id, scope, type, reason, cause, consequence, bounces, until, decided_at
  FROM mtabounce.decisions
 WHERE recipient_id = ANY (%(ids)b::bigint[])
   AND action = 'keep';

-- name: suppressions_of
-- Joined: with ANY, a plan that is kept compares each suppression with each of the recipients.
SELECT s.recipient, s.type, s.reason, s.cause, s.scope, s.action, s.since, s.until, s.bounce_id
  FROM unnest(%(recipients)b::text[]) AS r (recipient)
  JOIN mtabounce.suppressions AS s ON s.recipient = r.recipient;

-- name: campaigns_seen
-- Of bounces, of the newest return paths, and of what suppresses.
SELECT campaign FROM mtabounce.campaigns
UNION
SELECT campaign
  FROM (SELECT campaign FROM mtabounce.return_paths ORDER BY id DESC LIMIT 100000) AS p
UNION
SELECT substr(scope, 10) FROM mtabounce.suppressions WHERE starts_with(scope, 'campaign:');

-- name: lists_seen
-- Of the newest bounces, which is enough to tell a name that is misspelled, and of what suppresses.
SELECT DISTINCT meta ->> 'list_id'
  FROM (SELECT meta
          FROM mtabounce.bounces
         WHERE meta ? 'list_id'
         ORDER BY id DESC
         LIMIT 100000) AS b
UNION
SELECT substr(scope, 6) FROM mtabounce.suppressions WHERE starts_with(scope, 'list:');

-- name: decisions_written
-- Which of these are there.
SELECT d.recipient_id, d.key
  FROM unnest(%(ids)b::bigint[], %(keys)b::bytea[]) AS r (recipient_id, key)
  JOIN mtabounce.decisions AS d ON d.recipient_id = r.recipient_id AND d.key = r.key;

-- name: add_decisions
INSERT INTO mtabounce.decisions
       (recipient_id, recipient, key, actor, action, why, settings, scope, type, reason, bounces, undoes,
        until, decided_at)
SELECT r.recipient_id, r.recipient, decode(r.key, 'hex'), r.actor, r.action, r.why,
       coalesce(r.settings, ''), r.scope, r.type, r.reason, r.bounces, coalesce(r.undoes, '{}'), r.until, r.decided_at
  FROM json_to_recordset(%(rows)s::json) AS r
       (recipient_id bigint, recipient text, key text, actor text, action text, why text, settings text,
        scope text, type text, reason text, bounces bigint[], undoes bigint[], until timestamptz, decided_at timestamptz)
 ORDER BY r.decided_at
ON CONFLICT (recipient_id, key) DO NOTHING;

-- name: delete_suppressions
DELETE FROM mtabounce.suppressions AS s
 USING json_to_recordset(%(rows)s::json) AS r (recipient text, scope text)
 WHERE s.recipient = r.recipient
   AND s.scope = r.scope;

-- name: put_suppressions
INSERT INTO mtabounce.suppressions
       (recipient, type, reason, cause, scope, action, since, until, bounce_id, decision_id)
SELECT r.recipient, r.type, r.reason, r.cause, r.scope, r.action, r.since, r.until, r.bounce_id,
       (SELECT d.id
          FROM mtabounce.decisions AS d
         WHERE d.recipient_id = r.recipient_id
           AND d.scope = r.scope
           AND d.decided_at >= r.since
           AND d.action IN ('suppress', 'add', 'keep')
         ORDER BY d.decided_at > r.since, d.decided_at DESC, d.id DESC
         LIMIT 1)  -- that began it, or else that says that it still holds
  FROM json_to_recordset(%(rows)s::json) AS r
       (recipient_id bigint, recipient text, type text, reason text, cause text, scope text, action text,
        since timestamptz, until timestamptz, bounce_id bigint)
ON CONFLICT (recipient, scope) DO UPDATE
   SET type = excluded.type, reason = excluded.reason, cause = excluded.cause, action = excluded.action,
       since = excluded.since, until = excluded.until, bounce_id = excluded.bounce_id,
       decision_id = excluded.decision_id;

-- name: ended
-- Recipients of suppressions that are over, for policy to look at again.
SELECT DISTINCT r.id, r.recipient
  FROM mtabounce.suppressions AS s
  JOIN mtabounce.recipients AS r ON r.recipient = s.recipient
 WHERE s.until <= now()
 ORDER BY r.recipient
 LIMIT %(limit)s;

-- name: recipients_since
-- Recipients of whom something was reported since, in parts by id.
SELECT r.id, r.recipient
  FROM mtabounce.recipients AS r
 WHERE r.id > %(after)s
   AND (%(since)s::timestamptz IS NULL OR r.last_bounce_at >= %(since)s
        OR EXISTS (SELECT 1
                     FROM mtabounce.decisions AS d
                    WHERE d.recipient_id = r.id AND d.decided_at >= %(since)s))
 ORDER BY r.id
 LIMIT %(limit)s;
