-- What is too old to be kept. The statements old_* find rows, which store/retention.py counts, or
-- deletes a part at a time.

-- name: lock_upkeep
-- One at a time, of all hosts; the lock ends with the connection.
SELECT pg_try_advisory_lock(hashtextextended('mtabounce retention', 0));

-- name: old_partitions
-- Monthly partitions of a table that end before a moment, the oldest first, with a guess at their rows.
SELECT name, rows
  FROM (SELECT c.relname AS name, greatest(c.reltuples, 0)::bigint AS rows,
               to_date(substring(c.relname FROM '_y(\d{4}m\d{2})$'), 'YYYY"m"MM') AS month
          FROM pg_inherits AS i
          JOIN pg_class AS c ON c.oid = i.inhrelid
         WHERE i.inhparent = to_regclass('mtabounce.' || quote_ident(%(parent)s::text))
           AND c.relname ~ '_y\d{4}m\d{2}$') AS found
 WHERE (month + interval '1 month') AT TIME ZONE 'UTC' <= %(before)s
 ORDER BY month;

-- name: drop_month
SELECT mtabounce.drop_month(%(partition)s);

-- name: lock_old_recipients
-- The next recipients that have bounces from before a moment.
SELECT r.id
  FROM mtabounce.recipients AS r
 WHERE r.id IN (SELECT DISTINCT b.recipient_id
                  FROM mtabounce.bounces AS b
                 WHERE b.first_seen_at < %(before)s
                   AND b.recipient_id > %(after)s
                 ORDER BY b.recipient_id
                 LIMIT %(limit)s)
 ORDER BY r.recipient
   FOR UPDATE;

-- name: decided_since
-- Recipients whom something was decided about since a moment.
SELECT DISTINCT recipient_id
  FROM mtabounce.decisions
 WHERE created_at >= %(since)s;

-- name: pin
-- Suppressions of these recipients that rest on bounces which are to go, those from before a moment
-- or of these numbers, are written down as decisions: policy keeps to them when the bounces are gone.
INSERT INTO mtabounce.decisions
       (recipient_id, recipient, key, actor, action, why, scope, type, reason, cause, consequence, rule,
        bounces, until, decided_at)
SELECT r.id, r.recipient,
       substr(sha256(convert_to(format('keep %%s %%s %%s', s.scope, s.cause, extract(epoch FROM s.since)), 'UTF8')), 1, 16),
       %(actor)s, 'keep', coalesce(nullif(d.why, ''), format('%%s: the last for %%s', s.cause, s.reason)),
       s.scope, s.type, s.reason, s.cause, s.action,
       coalesce((SELECT b.rule FROM mtabounce.bounces AS b WHERE b.recipient_id = r.id AND b.id = s.bounce_id), ''),
       coalesce(d.bounces, ARRAY[s.bounce_id]), s.until, s.since
  FROM mtabounce.recipients AS r
  JOIN mtabounce.suppressions AS s ON s.recipient = r.recipient
  LEFT JOIN mtabounce.decisions AS d ON d.id = s.decision_id
 WHERE r.id = ANY (%(ids)s::bigint[])
   AND s.bounce_id IS NOT NULL
   AND (s.until IS NULL OR s.until > now())
   AND EXISTS (SELECT 1
                 FROM mtabounce.bounces AS b
                WHERE b.recipient_id = r.id
                  AND (b.first_seen_at < %(before)s OR b.id = ANY (%(gone)s::bigint[]))
                  AND (b.id = s.bounce_id OR b.id = ANY (d.bounces)))
ON CONFLICT (recipient_id, key) DO NOTHING;

-- name: old_bounces
-- In months that have no partition to be dropped.
SELECT t.ctid
  FROM mtabounce.bounces_default AS t
 WHERE t.first_seen_at < %(before)s

-- name: old_observations
SELECT t.ctid
  FROM mtabounce.observations_default AS t
 WHERE t.occurred_at < %(before)s

-- name: old_bounce_refs
-- Those of bounces that are gone.
SELECT t.ctid
  FROM mtabounce.bounce_refs AS t
 WHERE t.seen_at < %(before)s
   AND NOT EXISTS (SELECT FROM mtabounce.bounces AS b WHERE b.id = t.bounce_id)

-- name: old_incident_bounces
SELECT t.ctid
  FROM mtabounce.incident_bounces AS t
  JOIN mtabounce.incidents AS i ON i.id = t.incident_id
 WHERE i.last_at < %(before)s
   AND i.state <> 'open'
   AND t.settled

-- name: old_inputs
-- What waits for a worker is never dropped.
SELECT t.ctid
  FROM mtabounce.inputs AS t
 WHERE t.received_at < %(before)s
   AND t.state <> 'pending'

-- name: old_decisions
-- Those of policy; not what operators said, nor what explains a suppression.
SELECT t.ctid
  FROM mtabounce.decisions AS t
 WHERE t.created_at < %(before)s
   AND t.action IN ('suppress', 'lift', 'clear', 'none')
   AND NOT EXISTS (SELECT
                     FROM mtabounce.suppressions AS s
                    WHERE s.recipient = t.recipient AND s.decision_id = t.id)

-- name: old_delivery_stats
SELECT t.ctid
  FROM mtabounce.delivery_stats AS t
 WHERE t.hour < %(before)s

-- name: old_outbox
-- What was sent, and what was given up.
SELECT t.ctid
  FROM mtabounce.outbox AS t
 WHERE t.created_at < %(before)s
   AND t.state <> 'pending'

-- name: old_webhook_refusals
SELECT t.ctid
  FROM mtabounce.webhook_refusals AS t
 WHERE t.refused_at < %(before)s

-- name: old_webhook_signatures
-- As long as inputs, which may be judged again; and as long as a signature may be good.
SELECT t.ctid
  FROM mtabounce.webhook_signatures AS t
 WHERE t.used_at < %(before)s
   AND t.used_at < now() - interval '8 days'

-- name: old_return_paths
SELECT t.ctid
  FROM mtabounce.return_paths AS t
 WHERE t.made_at < %(before)s

-- name: old_pending_deliveries
-- No MTA tries for so long: the end of these was never logged, or not read.
SELECT t.ctid
  FROM mtabounce.pending_deliveries AS t
 WHERE t.occurred_at < %(before)s

-- name: lock_forgotten_recipients
-- Addresses of whom nothing seems to be left.
SELECT r.id
  FROM mtabounce.recipients AS r
 WHERE r.id > %(after)s
   AND r.created_at < %(before)s
   AND coalesce(r.last_bounce_at, r.created_at) < %(before)s
   AND NOT EXISTS (SELECT FROM mtabounce.decisions AS d WHERE d.recipient_id = r.id)
   AND NOT EXISTS (SELECT FROM mtabounce.observations AS o WHERE o.recipient_id = r.id)
   AND NOT EXISTS (SELECT FROM mtabounce.bounces AS b WHERE b.recipient_id = r.id)
 ORDER BY r.id
 LIMIT %(limit)s
   FOR UPDATE SKIP LOCKED;

-- name: forget_recipients
-- Looked at again: something may have been written while they were being locked.
DELETE FROM mtabounce.recipients AS r
 WHERE r.id = ANY (%(ids)s::bigint[])
   AND NOT EXISTS (SELECT FROM mtabounce.decisions AS d WHERE d.recipient_id = r.id)
   AND NOT EXISTS (SELECT FROM mtabounce.observations AS o WHERE o.recipient_id = r.id)
   AND NOT EXISTS (SELECT FROM mtabounce.bounces AS b WHERE b.recipient_id = r.id);

-- name: has_partitions
-- Whether the months of a span have their partitions, and nothing of them is in the default ones.
SELECT NOT EXISTS (SELECT
                     FROM unnest(ARRAY['bounces', 'observations']) AS parent,
                          generate_series(%(since)s AT TIME ZONE 'UTC', %(until)s AT TIME ZONE 'UTC', '1 month') AS month
                    WHERE to_regclass('mtabounce.' || parent || to_char(month, '"_y"YYYY"m"MM')) IS NULL);
