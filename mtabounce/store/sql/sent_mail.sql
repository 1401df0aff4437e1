-- To whom mails went, for some days.

-- name: keep_days
-- Partitions from one day to another; none at all where these are NULL.
SELECT mtabounce.keep_sent_mail(%(since)s::date, %(until)s::date);

-- name: old_days
-- How many days go that end before one, or all where it is NULL, and a guess at their rows.
SELECT count(*)::integer AS days, coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint AS rows
  FROM pg_inherits AS i
  JOIN pg_class AS c ON c.oid = i.inhrelid
 WHERE i.inhparent = 'mtabounce.sent_mail'::regclass
   AND (%(since)s::date IS NULL OR c.relname < 'sent_mail_' || to_char(%(since)s::date, '"y"YYYY"m"MM"d"DD'));

-- name: put
-- Days that have no partition are not kept.
INSERT INTO mtabounce.sent_mail (message_id, recipient, sent_at)
SELECT r.message_id, r.recipient, r.sent_at
  FROM unnest(%(message_ids)b::text[], %(recipients)b::text[], %(times)b::timestamptz[])
       AS r (message_id, recipient, sent_at)
 WHERE to_regclass('mtabounce.sent_mail_' || to_char(r.sent_at AT TIME ZONE 'UTC', '"y"YYYY"m"MM"d"DD')) IS NOT NULL;
