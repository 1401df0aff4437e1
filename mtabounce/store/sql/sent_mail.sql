-- To whom mails went, for some days.

-- name: keep_days
-- Partitions from one day to another; none at all where these are NULL.
SELECT mtabounce.keep_sent_mail(%(since)s::date, %(until)s::date);

-- name: put
-- Days that have no partition are not kept.
INSERT INTO mtabounce.sent_mail (message_id, recipient, sent_at)
SELECT r.message_id, r.recipient, r.sent_at
  FROM unnest(%(message_ids)s::text[], %(recipients)s::text[], %(times)s::timestamptz[])
       AS r (message_id, recipient, sent_at)
 WHERE to_regclass('mtabounce.sent_mail_' || to_char(r.sent_at AT TIME ZONE 'UTC', '"y"YYYY"m"MM"d"DD')) IS NOT NULL;
