-- listmonk's sources: what the poster calls itself, nothing where it does not; else "ses", not "webhook:ses".
-- depends: 0050_used_signatures

CREATE OR REPLACE VIEW listmonk.bounces AS
SELECT b.id,
       b.recipient_id AS subscriber_id,
       b.campaign_id,
       b.type,
       coalesce(b.meta->>'source', regexp_replace((nullif(b.sources, '{api}'))[1], '^(webhook|pop3):', ''), '') AS source,
       CASE WHEN b.meta ? 'meta' THEN (b.meta->>'meta')::jsonb ELSE b.meta END AS meta,
       b.first_seen_at AS created_at
  FROM mtabounce.bounces AS b;
