-- Polled mailboxes: how polling stands, and which of their mails are known.

-- name: lock
-- For as long as the connection lasts: of two hosts, one polls a mailbox.
SELECT pg_try_advisory_lock(hashtextextended('mtabounce mailbox ' || %(mailbox)s, 0));

-- name: unlock
SELECT pg_advisory_unlock(hashtextextended('mtabounce mailbox ' || %(mailbox)s, 0));

-- name: standing
SELECT mailbox, polled_at, succeeded_at, trouble, refused_at
  FROM mtabounce.mailboxes
 WHERE mailbox = %(mailbox)s;

-- name: refused
INSERT INTO mtabounce.mailboxes AS m (mailbox, trouble, refused_at)
VALUES (%(mailbox)s, %(trouble)s, ARRAY[now()])
ON CONFLICT (mailbox) DO UPDATE
   SET polled_at = now(), trouble = excluded.trouble, refused_at = m.refused_at[greatest(1, cardinality(m.refused_at) - 8):] || now();

-- name: failed
INSERT INTO mtabounce.mailboxes AS m (mailbox, trouble)
VALUES (%(mailbox)s, %(trouble)s)
ON CONFLICT (mailbox) DO UPDATE
   SET polled_at = now(), trouble = excluded.trouble;

-- name: succeeded
INSERT INTO mtabounce.mailboxes AS m (mailbox, succeeded_at)
VALUES (%(mailbox)s, now())
ON CONFLICT (mailbox) DO UPDATE
   SET polled_at = now(), succeeded_at = now(), trouble = '', refused_at = '{}';

-- name: known
SELECT uid, digest, size, state, attempts, seen_at
  FROM mtabounce.mailbox_uids
 WHERE mailbox = %(mailbox)s
   AND uid = ANY (%(uids)s::text[]);

-- name: stored_before
SELECT DISTINCT digest
  FROM mtabounce.mailbox_uids
 WHERE mailbox = %(mailbox)s
   AND digest = ANY (%(digests)s::bytea[])
   AND state = 'stored';

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
