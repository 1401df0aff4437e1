-- Bounces as operators look at them.

-- name: list_bounces
SELECT b.id, b.recipient, b.type, b.reason, b.fault, b.rule, b.status, b.reply_code, b.diagnostic_code,
       b.remote_mta, b.original_message_id, b.queue_id, c.campaign, b.trust, b.sources, b.observations,
       b.meta, b.first_seen_at, b.last_seen_at, b.created_at
  FROM mtabounce.bounces AS b
  LEFT JOIN mtabounce.campaigns AS c ON c.id = b.campaign_id
 WHERE (%(recipient)s::text IS NULL
        OR b.recipient_id = (SELECT id FROM mtabounce.recipients WHERE recipient = %(recipient)s))
   AND (%(domain)s::text IS NULL
        OR b.recipient_id IN (SELECT id FROM mtabounce.recipients WHERE domain = %(domain)s))
   AND (%(type)s::text IS NULL OR b.type = %(type)s)
   AND (%(reason)s::text IS NULL OR b.reason = %(reason)s)
   AND (%(since)s::timestamptz IS NULL OR b.last_seen_at >= %(since)s)
   AND (%(campaign)s::text IS NULL
        OR b.campaign_id = (SELECT id FROM mtabounce.campaigns WHERE campaign = %(campaign)s))
 ORDER BY b.last_seen_at DESC, b.id DESC
 LIMIT %(limit)s;

-- name: page_of_bounces
-- By id: a bounce keeps its place, whatever is still said of it while somebody turns the pages.
SELECT b.id, b.recipient, b.type, b.reason, b.fault, b.rule, b.status, b.reply_code, b.diagnostic_code,
       b.remote_mta, b.original_message_id, b.queue_id, c.campaign, b.trust, b.sources, b.observations,
       b.meta, b.first_seen_at, b.last_seen_at, b.created_at
  FROM mtabounce.bounces AS b
  LEFT JOIN mtabounce.campaigns AS c ON c.id = b.campaign_id
 WHERE (%(recipient)s::text IS NULL
        OR b.recipient_id = (SELECT id FROM mtabounce.recipients WHERE recipient = %(recipient)s))
   AND (%(domain)s::text IS NULL
        OR b.recipient_id IN (SELECT id FROM mtabounce.recipients WHERE domain = %(domain)s))
   AND (%(type)s::text IS NULL OR b.type = %(type)s)
   AND (%(reason)s::text IS NULL OR b.reason = %(reason)s)
   AND (%(since)s::timestamptz IS NULL OR b.last_seen_at >= %(since)s)
   AND (%(campaign)s::text IS NULL
        OR b.campaign_id = (SELECT id FROM mtabounce.campaigns WHERE campaign = %(campaign)s))
   AND (%(before)s::bigint IS NULL OR b.id < %(before)s)
 ORDER BY b.id DESC
 LIMIT %(limit)s;

-- name: get_bounce
SELECT b.id, b.recipient, b.type, b.reason, b.fault, b.rule, b.status, b.reply_code, b.diagnostic_code,
       b.remote_mta, b.original_message_id, b.queue_id, c.campaign, b.trust, b.sources, b.observations,
       b.meta, b.first_seen_at, b.last_seen_at, b.created_at
  FROM mtabounce.bounces AS b
  LEFT JOIN mtabounce.campaigns AS c ON c.id = b.campaign_id
 WHERE b.id = %(id)s;

-- name: observations_of
SELECT o.occurred_at, o.source, o.parser, o.trust, o.outcome, o.type, o.reason, o.fault, o.rule,
       o.matched, o.status, o.reply_code, o.final_recipient, o.original_recipient, o.action,
       o.diagnostic_code, o.remote_mta, o.reporting_mta, o.original_message_id, o.queue_id,
       o.campaign, o.facts, o.input_id
  FROM mtabounce.observations AS o
 WHERE o.bounce_id = %(bounce_id)s
 ORDER BY o.occurred_at, o.key;

-- name: observations_of_input
SELECT o.bounce_id, o.final_recipient, o.outcome, o.type, o.reason, o.rule, o.diagnostic_code
  FROM mtabounce.observations AS o
 WHERE o.input_id = %(input_id)s
 ORDER BY o.final_recipient;

-- name: get_recipient
SELECT id, recipient, domain, hard, soft, complaints, last_bounce_at, created_at
  FROM mtabounce.recipients
 WHERE recipient = %(recipient)s;

-- name: story_of
-- All that was said about a recipient, the latest first.
SELECT o.occurred_at, o.source, o.trust, o.outcome, o.type, o.reason, o.rule, o.status, o.diagnostic_code,
       o.bounce_id, o.input_id
  FROM mtabounce.observations AS o
 WHERE o.recipient_id = %(recipient_id)s
 ORDER BY o.occurred_at DESC, o.key
 LIMIT %(limit)s;
