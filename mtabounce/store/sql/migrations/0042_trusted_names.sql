-- What strangers say moves no proven bounce in time, and names no subscriber.
-- depends: 0036_sinks_seen

COMMENT ON COLUMN mtabounce.bounces.first_seen_at IS 'When it happened first, by the evidence of the best trust.';
COMMENT ON COLUMN mtabounce.bounces.last_seen_at IS 'When it happened last, by the evidence of the best trust.';
COMMENT ON COLUMN mtabounce.bounces.created_at IS 'When evidence of the best trust was first stored.';

CREATE OR REPLACE VIEW listmonk.subscribers AS
SELECT r.id,
       coalesce((SELECT mtabounce.stable_uuid(b.meta->>'subscriber')
                   FROM mtabounce.bounces AS b
                  WHERE b.recipient_id = r.id AND b.meta ? 'subscriber' AND b.trust = 'proven'
                  ORDER BY b.first_seen_at DESC LIMIT 1),
                mtabounce.stable_uuid(r.recipient)) AS uuid,
       r.recipient AS email,
       ''::text AS name,
       '{}'::jsonb AS attribs,
       CASE WHEN EXISTS (SELECT FROM mtabounce.suppressions AS s
                          WHERE s.recipient = r.recipient AND s.scope = 'all'
                            AND (s.until IS NULL OR s.until > now()))
            THEN 'blocklisted' ELSE 'enabled' END AS status,
       r.created_at,
       coalesce(r.last_bounce_at, r.created_at) AS updated_at
  FROM mtabounce.recipients AS r;
COMMENT ON COLUMN listmonk.subscribers.uuid IS 'The UUID that a proven bounce named, or else one made of the address.';
