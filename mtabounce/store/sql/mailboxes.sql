-- Polled mailboxes: which of their mails are known.

-- name: lock
-- For as long as the connection lasts: of two hosts, one polls a mailbox.
SELECT pg_try_advisory_lock(hashtextextended('mtabounce mailbox ' || %(mailbox)s, 0));

-- name: unlock
SELECT pg_advisory_unlock(hashtextextended('mtabounce mailbox ' || %(mailbox)s, 0));

-- name: known
SELECT uid, digest, size, state, attempts, seen_at
  FROM mtabounce.mailbox_uids
 WHERE mailbox = %(mailbox)s;

-- name: note
INSERT INTO mtabounce.mailbox_uids AS m (mailbox, uid, digest, size, state)
SELECT %(mailbox)s, r.uid, decode(r.digest, 'hex'), r.size, r.state
  FROM json_to_recordset(%(rows)s::json) AS r (uid text, digest text, size bigint, state text)
ON CONFLICT (mailbox, uid) DO UPDATE
   SET digest = excluded.digest, size = excluded.size, state = excluded.state,
       attempts = m.attempts + 1, seen_at = now();

-- name: forget_others
-- They are looked at once more.
DELETE FROM mtabounce.mailbox_uids
 WHERE mailbox = %(mailbox)s
   AND state <> 'stored';

-- name: forget_gone
-- A server that hides mails for a while does not have them stored twice.
DELETE FROM mtabounce.mailbox_uids
 WHERE mailbox = %(mailbox)s
   AND seen_at < now() - interval '90 days'
   AND uid <> ALL (%(uids)s::text[]);
