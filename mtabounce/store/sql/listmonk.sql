-- Bounces as listmonk's API gives them.

-- name: list_bounces
-- The page is found first, by no more than its order takes: the rest is looked up for its rows alone.
WITH page AS (
    SELECT b.id, count(*) OVER () AS total
      FROM listmonk.bounces AS b
     CROSS JOIN LATERAL (
               SELECT CASE %(order_by)s
                        WHEN 'source' THEN b.source
                        WHEN 'type' THEN b.type
                        WHEN 'email' THEN (SELECT r.recipient FROM mtabounce.recipients AS r
                                            WHERE r.id = b.subscriber_id)
                        WHEN 'campaign_name' THEN (SELECT c.name FROM listmonk.campaigns AS c
                                                    WHERE c.id = b.campaign_id)
                      END AS word) AS by
     WHERE (%(id)s::bigint IS NULL OR b.id = %(id)s)
       AND (%(campaign_id)s::bigint IS NULL OR b.campaign_id = %(campaign_id)s)
       AND (%(subscriber_id)s::bigint IS NULL OR b.subscriber_id = %(subscriber_id)s)
       AND (%(source)s::text IS NULL OR b.source = %(source)s)
     ORDER BY CASE WHEN %(ascending)s THEN word END,
              CASE WHEN NOT %(ascending)s THEN word END DESC NULLS LAST,
              CASE WHEN %(ascending)s AND %(order_by)s = 'created_at' THEN b.created_at END,
              CASE WHEN NOT %(ascending)s AND %(order_by)s = 'created_at' THEN b.created_at END DESC NULLS LAST,
              b.id DESC
     LIMIT %(limit)s
    OFFSET %(offset)s
)
SELECT b.id, b.type, b.source, b.meta, b.created_at, s.email, s.uuid::text AS subscriber_uuid,
       b.subscriber_id, s.status AS subscriber_status,
       CASE WHEN c.id IS NOT NULL THEN json_build_object('id', c.id, 'name', c.name) END AS campaign,
       p.total
  FROM (SELECT page.*, row_number() OVER () AS place FROM page) AS p
  JOIN listmonk.bounces AS b ON b.id = p.id
  JOIN listmonk.subscribers AS s ON s.id = b.subscriber_id
  LEFT JOIN listmonk.campaigns AS c ON c.id = b.campaign_id
 ORDER BY p.place;

-- name: all_bounces
-- All at once, for a cursor: to look up the rest of each row apart would take longer here.
SELECT b.id, b.type, b.source, b.meta, b.created_at, s.email, s.uuid::text AS subscriber_uuid,
       b.subscriber_id, s.status AS subscriber_status,
       CASE WHEN c.id IS NOT NULL THEN json_build_object('id', c.id, 'name', c.name) END AS campaign,
       count(*) OVER () AS total
  FROM listmonk.bounces AS b
  JOIN listmonk.subscribers AS s ON s.id = b.subscriber_id
  LEFT JOIN listmonk.campaigns AS c ON c.id = b.campaign_id
 WHERE (%(id)s::bigint IS NULL OR b.id = %(id)s)
   AND (%(campaign_id)s::bigint IS NULL OR b.campaign_id = %(campaign_id)s)
   AND (%(subscriber_id)s::bigint IS NULL OR b.subscriber_id = %(subscriber_id)s)
   AND (%(source)s::text IS NULL OR b.source = %(source)s)
 ORDER BY CASE WHEN %(ascending)s THEN
            CASE %(order_by)s WHEN 'email' THEN s.email WHEN 'source' THEN b.source
                              WHEN 'type' THEN b.type WHEN 'campaign_name' THEN c.name END
          END,
          CASE WHEN NOT %(ascending)s THEN
            CASE %(order_by)s WHEN 'email' THEN s.email WHEN 'source' THEN b.source
                              WHEN 'type' THEN b.type WHEN 'campaign_name' THEN c.name END
          END DESC NULLS LAST,
          CASE WHEN %(ascending)s AND %(order_by)s = 'created_at' THEN b.created_at END,
          CASE WHEN NOT %(ascending)s AND %(order_by)s = 'created_at' THEN b.created_at END DESC NULLS LAST,
          b.id DESC;

-- name: bounce_ids
SELECT id
  FROM mtabounce.bounces
 WHERE (%(ids)s::bigint[] IS NULL OR id = ANY (%(ids)s))
   AND (%(subscriber_id)s::bigint IS NULL OR recipient_id = %(subscriber_id)s)
 ORDER BY id
 LIMIT 1000;

-- name: recipients_of
SELECT DISTINCT recipient
  FROM mtabounce.bounces
 WHERE id = ANY (%(ids)s::bigint[]);

-- name: let_go
-- What was observed stays, and is not counted: a copy that comes later brings nothing back.
UPDATE mtabounce.observations SET bounce_id = NULL WHERE bounce_id = ANY (%(ids)s);

-- name: bounced_recipients
-- Without those whom only strangers name, and who are blocklisted by hand already.
SELECT r.recipient
  FROM mtabounce.recipients AS r
 WHERE position('@' IN r.recipient) > 1
   AND EXISTS (SELECT FROM mtabounce.bounces AS b
                WHERE b.recipient_id = r.id AND b.trust = ANY (%(trusts)s::text[]))
   AND NOT EXISTS (SELECT FROM mtabounce.suppressions AS s
                    WHERE s.recipient = r.recipient AND s.scope = 'all' AND s.cause = 'manual'
                      AND s.until IS NULL);

-- name: recipient_by_uuid
-- The address that the last proven bounce named the UUID with, or that the UUID was made of.
SELECT recipient
  FROM (SELECT recipient, first_seen_at FROM mtabounce.bounces
         WHERE meta ? 'subscriber' AND meta->>'subscriber' = %(uuid)s AND trust = 'proven'
        UNION ALL
        SELECT recipient, NULL FROM mtabounce.recipients
         WHERE mtabounce.stable_uuid(recipient) = %(uuid)s::uuid) AS found
 ORDER BY first_seen_at DESC NULLS LAST
 LIMIT 1;
