-- What others are told.

-- name: put_sinks
INSERT INTO mtabounce.sinks (name, events)
SELECT r.name, r.events
  FROM json_to_recordset(%(rows)s::json) AS r (name text, events text[])
ON CONFLICT (name) DO UPDATE
   SET events = excluded.events, seen_at = now();

-- name: forget_lost_sinks
-- Those that no daemon has told of since, with what they were to be told.
WITH lost AS (
    DELETE FROM mtabounce.sinks WHERE seen_at < %(before)s RETURNING name)
DELETE FROM mtabounce.outbox AS o
 USING lost
 WHERE o.sink = lost.name AND o.state <> 'sent';

-- name: forget_sink
-- With what it was to be told.
WITH waiting AS (
    DELETE FROM mtabounce.outbox WHERE sink = %(name)s AND state <> 'sent')
DELETE FROM mtabounce.sinks
 WHERE name = %(name)s;

-- name: add_events
-- A message for each sink that wants the event.
INSERT INTO mtabounce.outbox (sink, event, recipient, payload)
SELECT k.name, r.event, r.recipient, r.payload
  FROM json_to_recordset(%(rows)s::json) AS r (event text, recipient text, payload jsonb, place integer)
  JOIN mtabounce.sinks AS k ON r.event = ANY (k.events)
 ORDER BY r.place;

-- name: notify
-- PostgreSQL hands the notes out when the transaction has committed.
SELECT pg_notify(r.channel, r.note)
  FROM unnest(%(channels)b::text[], %(notes)b::text[]) AS r (channel, note);

-- name: add_bounces
-- The same for bounces that this transaction made, or has better evidence for.
INSERT INTO mtabounce.outbox (sink, event, recipient, payload)
SELECT k.name, 'bounce', b.recipient,
       jsonb_build_object('id', b.id, 'type', b.type, 'reason', b.reason, 'fault', b.fault, 'status', b.status,
                          'diagnostic_code', b.diagnostic_code, 'trust', b.trust, 'at', b.first_seen_at)
  FROM mtabounce.sinks AS k
  JOIN mtabounce.bounces AS b ON b.recipient_id = ANY (%(ids)b::bigint[]) AND b.created_at = now()
 WHERE 'bounce' = ANY (k.events)
 ORDER BY b.id;

-- name: claim
-- What is due for a sink: of each address the first that waits.
SELECT o.id, o.event, o.recipient, o.payload, o.attempts, o.created_at
  FROM mtabounce.outbox AS o
 WHERE o.sink = %(sink)s
   AND o.state = 'pending'
   AND o.next_at <= now()
   AND NOT EXISTS (SELECT 1
                     FROM mtabounce.outbox AS e
                    WHERE e.sink = o.sink AND e.recipient = o.recipient AND e.state = 'pending' AND e.id < o.id)
 ORDER BY o.id
 LIMIT %(limit)s
   FOR UPDATE SKIP LOCKED;

-- name: sent
UPDATE mtabounce.outbox
   SET state = 'sent', attempts = attempts + 1, sent_at = now(), error = ''
 WHERE id = ANY (%(ids)s::bigint[]);

-- name: failed
UPDATE mtabounce.outbox AS o
   SET attempts = o.attempts + 1, error = r.error, next_at = now() + coalesce(r.pause, 0) * interval '1 second',
       state = CASE WHEN r.pause IS NULL THEN 'dead' ELSE 'pending' END
  FROM json_to_recordset(%(rows)s::json) AS r (id bigint, error text, pause double precision)
 WHERE o.id = r.id;

-- name: dead_by_sink
SELECT sink, count(*)
  FROM mtabounce.outbox
 WHERE state = 'dead'
 GROUP BY sink
 ORDER BY sink;

-- name: list_outbox
SELECT id, sink, event, recipient, state, attempts, next_at, error, created_at
  FROM mtabounce.outbox
 WHERE (%(state)s::text IS NULL OR state = %(state)s)
   AND (%(sink)s::text IS NULL OR sink = %(sink)s)
 ORDER BY id DESC
 LIMIT %(limit)s;

-- name: retry
-- Dead messages are tried again, unless the sink already knows something later of that address and
-- what it covers.
UPDATE mtabounce.outbox AS o
   SET state = 'pending', attempts = 0, next_at = now()
 WHERE state = 'dead'
   AND (%(ids)s::bigint[] IS NULL OR id = ANY (%(ids)s))
   AND (event = 'bounce'
        OR NOT EXISTS (SELECT 1
                         FROM mtabounce.outbox AS l
                        WHERE l.sink = o.sink AND l.recipient = o.recipient AND l.state = 'sent'
                          AND l.event <> 'bounce' AND l.id > o.id
                          AND coalesce(l.payload ->> 'scope', 'all') = coalesce(o.payload ->> 'scope', 'all')));

-- name: count_dead
SELECT count(*)
  FROM mtabounce.outbox
 WHERE state = 'dead'
   AND (%(ids)s::bigint[] IS NULL OR id = ANY (%(ids)s));

-- name: forget_sent
DELETE FROM mtabounce.outbox
 WHERE state = 'sent'
   AND sent_at < %(before)s;
