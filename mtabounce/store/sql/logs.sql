-- Logs: how far they were read, who waits, how deliveries went.

-- name: log_files
SELECT id, name, path, reader, device, inode, head, head_length, position, before, skipping, finished,
       state, state_position, journal, lines, recognized, deliveries, unreadable, skipped, trouble, updated_at
  FROM mtabounce.log_files
 WHERE (%(name)s::text IS NULL OR name = %(name)s)
   AND (%(reader)s::text IS NULL OR reader = %(reader)s)
 ORDER BY id;

-- name: add_log_file
INSERT INTO mtabounce.log_files (name, path, reader, device, inode, head, head_length, position, before, skipping,
                                 state_position, journal)
VALUES (%(name)s, %(path)s, %(reader)s, %(device)s, %(inode)s, %(head)s, %(head_length)s, %(position)s,
        %(before)s, %(skipping)s, %(state_position)s, %(journal)s)
RETURNING id;

-- name: move
-- Only from where we believe it is: another reader may have been here.
UPDATE mtabounce.log_files
   SET path = %(path)s, device = %(device)s, inode = %(inode)s, head = %(head)s,
       head_length = %(head_length)s, position = %(position)s, before = %(before)s,
       skipping = %(skipping)s, finished = %(finished)s, journal = %(journal)s,
       lines = %(lines)s, recognized = %(recognized)s, deliveries = %(deliveries)s,
       unreadable = %(unreadable)s, skipped = %(skipped)s, trouble = %(trouble)s, updated_at = now()
 WHERE id = %(id)s AND position = %(old_position)s AND journal = %(old_journal)s;

-- name: keep_state
UPDATE mtabounce.log_files
   SET state = %(state)b, state_position = %(state_position)s
 WHERE id = %(id)s;

-- name: lock_log_files
-- Who begins with a file looks first whether another one did; the lock ends with the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('mtabounce log files', 0));

-- name: forget_log_file
-- Says how far it was read: an import that was about to commit is waited for.
DELETE FROM mtabounce.log_files WHERE id = %(id)s
RETURNING id, name, path, reader, device, inode, head, head_length, position, before, skipping, finished,
          state, state_position, journal, lines, recognized, deliveries, unreadable, skipped, trouble, updated_at;

-- name: own
-- One reader a log; the lock ends with the connection.
SELECT pg_try_advisory_lock(hashtextextended('mtabounce log ' || %(name)s, 0));

-- name: waiting
SELECT host, instance, queue_id, final_recipient, original_recipient, reverse_path, original_message_id,
       status, diagnostic_code, command, remote_mta, attempts, first_deferred_at, occurred_at
  FROM mtabounce.pending_deliveries
 WHERE host = ANY (%(hosts)b::text[]) AND queue_id = ANY (%(queue_ids)b::text[]);

-- name: put_waiting
-- An import may tell of an attempt that is older than what is known.
INSERT INTO mtabounce.pending_deliveries AS p
       (host, instance, queue_id, final_recipient, original_recipient, reverse_path, original_message_id,
        status, diagnostic_code, command, remote_mta, attempts, first_deferred_at, occurred_at)
SELECT DISTINCT ON (r.host, r.queue_id, r.instance, r.final_recipient, r.original_recipient)
       r.host, r.instance, r.queue_id, r.final_recipient, r.original_recipient, r.reverse_path,
       r.original_message_id, r.status, r.diagnostic_code, r.command, r.remote_mta, r.attempts,
       r.first_deferred_at, r.occurred_at
  FROM json_to_recordset(%(rows)s::json) AS r
       (host text, instance text, queue_id text, final_recipient text, original_recipient text,
        reverse_path text, original_message_id text, status text, diagnostic_code text, command text,
        remote_mta text, attempts integer, first_deferred_at timestamptz, occurred_at timestamptz)
 ORDER BY r.host, r.queue_id, r.instance, r.final_recipient, r.original_recipient, r.occurred_at DESC
ON CONFLICT (host, queue_id, instance, final_recipient, original_recipient) DO UPDATE
   SET reverse_path = excluded.reverse_path, original_message_id = excluded.original_message_id,
       status = excluded.status, diagnostic_code = excluded.diagnostic_code,
       command = excluded.command, remote_mta = excluded.remote_mta, attempts = excluded.attempts,
       first_deferred_at = excluded.first_deferred_at, occurred_at = excluded.occurred_at
 WHERE p.occurred_at <= excluded.occurred_at;

-- name: settle
DELETE FROM mtabounce.pending_deliveries AS p
 USING json_to_recordset(%(rows)s::json) AS r
       (host text, instance text, queue_id text, final_recipient text, original_recipient text)
 WHERE p.host = r.host AND p.queue_id = r.queue_id AND p.instance = r.instance
   AND p.final_recipient = r.final_recipient AND p.original_recipient = r.original_recipient;

-- name: known_among
-- Those of some recipients, one a line, of whom anything is known.
SELECT recipient
  FROM mtabounce.recipients
 WHERE recipient = ANY (string_to_array(%(names)s, E'\n'));

-- name: put_delivered
-- Returns of whom something bounced, or suppresses, that what arrived last may clear; and, with again, of
-- whom anything bounced: it may have been taken before. The clock of a log may be ahead.
WITH given AS (
    SELECT t.id, t.recipient, coalesce(t.last_delivered_at, '-infinity') AS earlier_at,
           least(r.delivered_at, now()) AS delivered_at, r.again
      FROM json_to_recordset(%(rows)s::json) AS r (id bigint, delivered_at timestamptz, again boolean)
      JOIN mtabounce.recipients AS t ON t.id = r.id),
noted AS (
    UPDATE mtabounce.recipients AS t
       SET last_delivered_at = g.delivered_at
      FROM given AS g
     WHERE t.id = g.id
       AND g.delivered_at > g.earlier_at)
SELECT g.recipient, g.id
  FROM given AS g
 WHERE EXISTS (SELECT
                 FROM mtabounce.bounces AS b
                WHERE b.recipient_id = g.id
                  AND (b.type = 'soft' OR b.type = 'hard' AND b.fault IN ('recipient', 'destination'))
                  AND (g.again OR least(b.decisive_at, b.created_at) > g.earlier_at
                                  AND least(b.decisive_at, b.created_at) <= g.delivered_at))
    OR EXISTS (SELECT
                 FROM mtabounce.suppressions AS s
                WHERE s.recipient = g.recipient
                  AND s.cause IN ('soft', 'hold'));

-- name: put_trouble
-- In the newest file of a log.
UPDATE mtabounce.log_files
   SET trouble = %(trouble)s
 WHERE id = (SELECT max(id) FROM mtabounce.log_files WHERE name = %(name)s);

-- name: count_deliveries
INSERT INTO mtabounce.delivery_stats AS s (hour, domain, relay, sender_domain, sent, deferred, bounced)
SELECT r.hour, r.domain, r.relay, r.sender_domain, sum(r.sent), sum(r.deferred), sum(r.bounced)
  FROM json_to_recordset(%(rows)s::json) AS r
       (hour timestamptz, domain text, relay text, sender_domain text, sent bigint, deferred bigint,
        bounced bigint)
 GROUP BY r.hour, r.domain, r.relay, r.sender_domain
 ORDER BY r.hour, r.domain, r.relay, r.sender_domain
ON CONFLICT (hour, domain, relay, sender_domain) DO UPDATE
   SET sent = s.sent + excluded.sent, deferred = s.deferred + excluded.deferred,
       bounced = s.bounced + excluded.bounced;
