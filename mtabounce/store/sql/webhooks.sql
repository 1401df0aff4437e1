-- Webhooks: what was taken and refused.

-- name: note
-- Adds to the counts.
INSERT INTO mtabounce.webhooks AS w (webhook, accepted, accepted_at, refused, refused_at, why)
SELECT r.webhook, r.accepted, r.accepted_at, r.refused, r.refused_at, r.why
  FROM json_to_recordset(%(rows)s::json)
    AS r (webhook text, accepted bigint, accepted_at timestamptz, refused bigint,
          refused_at timestamptz, why text)
 ORDER BY r.webhook
ON CONFLICT (webhook) DO UPDATE
   SET accepted = w.accepted + excluded.accepted,
       accepted_at = greatest(w.accepted_at, excluded.accepted_at),
       refused = w.refused + excluded.refused,
       refused_at = greatest(w.refused_at, excluded.refused_at),
       why = CASE WHEN excluded.refused > 0 THEN excluded.why ELSE w.why END;

-- name: keep
-- The refused requests themselves.
INSERT INTO mtabounce.webhook_refusals (webhook, refused_at, status, why, peer, headers, body, size)
SELECT r.webhook, r.refused_at, r.status, r.why, r.peer, r.headers, r.body, r.size
  FROM ROWS FROM (
         json_to_recordset(%(rows)s::json)
           AS (webhook text, refused_at timestamptz, status smallint, why text, peer text,
               headers jsonb, size bigint),
         unnest(%(bodies)b::bytea[])
       ) AS r (webhook, refused_at, status, why, peer, headers, size, body);

-- name: prune
-- Only the latest are kept, so many of each webhook. Their age is a matter of retention.
DELETE FROM mtabounce.webhook_refusals AS r
 USING (SELECT id,
               row_number() OVER w AS place,
               sum(octet_length(body)) OVER w AS octets
          FROM mtabounce.webhook_refusals
        WINDOW w AS (PARTITION BY webhook ORDER BY id DESC)) AS ranked
 WHERE ranked.id = r.id
   AND (ranked.place > %(most)s OR ranked.octets > %(octets)s);

-- name: use_signatures
-- The first body that each came with; in order, so that two workers wait for each other, and not both.
INSERT INTO mtabounce.webhook_signatures (mark, body)
SELECT DISTINCT ON (r.mark) r.mark, r.body
  FROM unnest(%(ids)b::bigint[], %(marks)b::bytea[], %(bodies)b::bytea[]) AS r (id, mark, body)
 ORDER BY r.mark, r.id
ON CONFLICT (mark) DO NOTHING;

-- name: used_signatures
-- Inputs whose signature came with another body first.
SELECT r.id
  FROM unnest(%(ids)b::bigint[], %(marks)b::bytea[], %(bodies)b::bytea[]) AS r (id, mark, body)
  JOIN mtabounce.webhook_signatures AS s ON s.mark = r.mark
 WHERE s.body <> r.body;

-- name: counts
-- All webhooks that anything came for.
SELECT webhook, accepted, accepted_at, refused, refused_at, why
  FROM mtabounce.webhooks
 ORDER BY webhook;

-- name: refusals
-- The latest refused requests of a webhook.
SELECT id, webhook, refused_at, status, why, peer, headers, body, size
  FROM mtabounce.webhook_refusals
 WHERE webhook = %(webhook)s
   AND (%(id)s::bigint IS NULL OR id = %(id)s)
 ORDER BY id DESC
 LIMIT %(limit)s;

-- name: forget
-- A refused request that was taken after all.
DELETE FROM mtabounce.webhook_refusals
 WHERE id = %(id)s;

-- name: not_understood
-- Requests that were taken, and of which something could not be read, or a kind of event is not known.
SELECT id, received_at, error
  FROM mtabounce.inputs
 WHERE source = 'webhook:' || %(webhook)s
   AND error <> ''
   AND received_at > now() - interval '7 days'
 ORDER BY id DESC
 LIMIT %(limit)s;
