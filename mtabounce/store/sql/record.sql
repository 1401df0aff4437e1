-- What the recorder writes, all of it in one transaction. Rows come as one JSON array: as
-- fast as binary arrays, and NULLs need no care. Bytes in it are written in hexadecimal.

-- name: add_recipients
-- Sorted, so that two recorders never wait for each other in a circle.
INSERT INTO mtabounce.recipients (recipient, domain)
SELECT r.recipient, r.domain
  FROM json_to_recordset(%(rows)s::json) AS r (recipient text, domain text)
 ORDER BY r.recipient
ON CONFLICT (recipient) DO NOTHING;

-- name: lock_recipients
-- Who holds the rows of its recipients is alone with what is known of them.
SELECT id, recipient
  FROM mtabounce.recipients
 WHERE recipient = ANY (%(recipients)b::text[])
 ORDER BY recipient
   FOR UPDATE;

-- name: add_campaigns
INSERT INTO mtabounce.campaigns (campaign)
SELECT unnest(%(campaigns)s::text[])
ON CONFLICT (campaign) DO NOTHING;

-- name: campaign_ids
SELECT id, campaign
  FROM mtabounce.campaigns
 WHERE campaign = ANY (%(campaigns)s::text[]);

-- name: known_observations
-- A copy without a time of its own has the time it arrived at; copies arrive within weeks.
SELECT o.recipient_id, o.key
  FROM json_to_recordset(%(rows)s::json) AS r (recipient_id bigint, occurred_at timestamptz, key text)
  JOIN mtabounce.observations AS o
    ON o.recipient_id = r.recipient_id
   AND o.key = decode(r.key, 'hex')
   AND o.occurred_at BETWEEN r.occurred_at - interval '50 days' AND r.occurred_at + interval '50 days';

-- name: backed_claims
-- What several people got, as members of a list do, each of them could say of any other.
SELECT DISTINCT r.recipient_id, r.key
  FROM json_to_recordset(%(rows)s::json) AS r
       (recipient_id bigint, key text, occurred_at timestamptz, message_id text, subscriber text)
  JOIN mtabounce.observations AS o
    ON o.recipient_id = r.recipient_id
   AND o.trust = 'proven'
   AND o.occurred_at BETWEEN r.occurred_at - interval '50 days' AND r.occurred_at + interval '50 days'
   AND (o.facts->>'subscriber' = nullif(r.subscriber, '')
        OR o.original_message_id = nullif(r.message_id, '')
           AND NOT EXISTS (SELECT FROM mtabounce.observations AS other
                            WHERE other.original_message_id = r.message_id
                              AND other.original_message_id <> ''
                              AND other.trust <> 'claimed'
                              AND other.recipient_id <> r.recipient_id));

-- name: owners_of_messages
-- Whoever it is, is held to what an input says that may be proven: so only what is proven says it,
-- and nothing that the input itself said before.
SELECT r.input_id, t.recipient
  FROM json_to_recordset(%(rows)s::json) AS r
       (input_id bigint, received_at timestamptz, message_id text, subscriber text)
  JOIN mtabounce.observations AS o
    ON o.original_message_id = r.message_id
   AND o.original_message_id <> ''
   AND o.trust = 'proven'
   AND o.input_id IS DISTINCT FROM r.input_id
   AND o.occurred_at BETWEEN r.received_at - interval '50 days' AND r.received_at + interval '50 days'
  JOIN mtabounce.recipients AS t ON t.id = o.recipient_id
 UNION
SELECT r.input_id, b.recipient
  FROM json_to_recordset(%(rows)s::json) AS r
       (input_id bigint, received_at timestamptz, message_id text, subscriber text)
  JOIN mtabounce.bounces AS b
    ON b.meta ? 'subscriber'
   AND b.meta->>'subscriber' = r.subscriber
   AND b.trust = 'proven'
   AND r.subscriber <> ''
 UNION
SELECT r.input_id, unnest(CASE WHEN s.seen < 100 THEN ARRAY[s.first, s.last] ELSE ARRAY[s.first, ''] END)
  FROM json_to_recordset(%(rows)s::json) AS r
       (input_id bigint, received_at timestamptz, message_id text, subscriber text)
 CROSS JOIN LATERAL (
       SELECT count(*) AS seen, min(m.recipient) AS first, max(m.recipient) AS last
         FROM (SELECT recipient
                 FROM mtabounce.sent_mail
                WHERE message_id = r.message_id
                  AND r.message_id <> ''
                LIMIT 100) AS m) AS s  -- what went to so many is nobody's
 WHERE s.seen > 0;

-- name: known_refs
SELECT key, bounce_id, seen_at
  FROM mtabounce.bounce_refs
 WHERE key = ANY (%(keys)b::bytea[]);

-- name: bounces_by_id
SELECT b.id, b.recipient, b.type, b.reason, b.fault, b.rule, b.status, b.reply_code,
       b.diagnostic_code, b.remote_mta, b.original_message_id, b.queue_id,
       coalesce(c.campaign, '') AS campaign, b.trust, b.sources, b.observations, b.decisive,
       b.decisive_at, b.meta, b.first_seen_at, b.last_seen_at, b.created_at
  FROM mtabounce.bounces AS b
  LEFT JOIN mtabounce.campaigns AS c ON c.id = b.campaign_id
 WHERE b.id = ANY (%(ids)b::bigint[])
   FOR UPDATE OF b;

-- name: new_bounce_ids
SELECT nextval('mtabounce.bounces_id_seq') AS id
  FROM generate_series(1, %(count)s::integer);

-- name: delete_bounces
DELETE FROM mtabounce.bounces
 WHERE id = ANY (%(ids)s::bigint[]);

-- name: add_bounces
INSERT INTO mtabounce.bounces
       (id, recipient_id, recipient, type, reason, fault, rule, status, reply_code, diagnostic_code,
        remote_mta, original_message_id, queue_id, campaign_id, trust, sources, observations,
        decisive, decisive_at, meta, first_seen_at, last_seen_at, created_at)
SELECT r.id, r.recipient_id, r.recipient, r.type, r.reason, r.fault, r.rule, r.status, r.reply_code,
       r.diagnostic_code, r.remote_mta, r.original_message_id, r.queue_id, r.campaign_id, r.trust,
       r.sources, r.observations, decode(r.decisive, 'hex'), r.decisive_at, r.meta, r.first_seen_at,
       r.last_seen_at, coalesce(r.created_at, now())
  FROM json_to_recordset(%(rows)s::json) AS r
       (id bigint, recipient_id bigint, recipient text, type text, reason text, fault text, rule text,
        status text, reply_code smallint, diagnostic_code text, remote_mta text,
        original_message_id text, queue_id text, campaign_id bigint, trust text, sources text[],
        observations integer, decisive text, decisive_at timestamptz, meta jsonb,
        first_seen_at timestamptz, last_seen_at timestamptz, created_at timestamptz);

-- name: move_refs
UPDATE mtabounce.bounce_refs
   SET bounce_id = %(into)s
 WHERE bounce_id = ANY (%(ids)s::bigint[]);

-- name: move_observations
UPDATE mtabounce.observations
   SET bounce_id = %(into)s
 WHERE bounce_id = ANY (%(ids)s::bigint[]);

-- name: delete_refs
DELETE FROM mtabounce.bounce_refs
 WHERE key = ANY (%(keys)b::bytea[]);

-- name: delete_lost_refs
-- Looked at anew: where a bounce was merged, its refs lead to another by now.
DELETE FROM mtabounce.bounce_refs AS r
 WHERE r.bounce_id = ANY (%(ids)b::bigint[])
   AND NOT EXISTS (SELECT FROM mtabounce.bounces AS b WHERE b.id = r.bounce_id);

-- name: add_refs
-- Fewer rows than were given: another recorder was first with one of them.
INSERT INTO mtabounce.bounce_refs (key, kind, bounce_id, seen_at)
SELECT decode(r.key, 'hex'), r.kind, r.bounce_id, r.seen_at
  FROM json_to_recordset(%(rows)s::json) AS r (key text, kind text, bounce_id bigint, seen_at timestamptz)
 ORDER BY r.key
ON CONFLICT (key) DO NOTHING
RETURNING key;

-- name: add_observations
INSERT INTO mtabounce.observations
       (recipient_id, occurred_at, key, bounce_id, input_id, source, parser, trust, outcome, type, reason,
        fault, rule, matched, status, reply_code, final_recipient, original_recipient, action,
        diagnostic_code, remote_mta, reporting_mta, original_message_id, queue_id, campaign, facts)
SELECT r.recipient_id, r.occurred_at, decode(r.key, 'hex'), r.bounce_id, r.input_id, r.source, r.parser,
       r.trust, r.outcome, r.type, r.reason, r.fault, r.rule, r.matched, r.status, r.reply_code,
       r.final_recipient, r.original_recipient, r.action, r.diagnostic_code, r.remote_mta, r.reporting_mta,
       r.original_message_id, r.queue_id, r.campaign, r.facts
  FROM json_to_recordset(%(rows)s::json) AS r
       (recipient_id bigint, occurred_at timestamptz, key text, bounce_id bigint, input_id bigint,
        source text, parser text, trust text, outcome text, type text, reason text, fault text, rule text,
        matched text, status text, reply_code smallint, final_recipient text, original_recipient text,
        action text, diagnostic_code text, remote_mta text, reporting_mta text, original_message_id text,
        queue_id text, campaign text, facts jsonb)
ON CONFLICT DO NOTHING;

-- name: count_recipients
UPDATE mtabounce.recipients AS t
   SET hard = t.hard + r.hard,
       soft = t.soft + r.soft,
       complaints = t.complaints + r.complaints,
       last_bounce_at = greatest(t.last_bounce_at, r.last_bounce_at)
  FROM json_to_recordset(%(rows)s::json) AS r
       (recipient_id bigint, hard integer, soft integer, complaints integer, last_bounce_at timestamptz)
 WHERE t.id = r.recipient_id;
