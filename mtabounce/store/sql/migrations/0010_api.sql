-- Tokens of the HTTP API, and listmonk's own tables as views, for queries that were written for it.
-- depends: 0009_outbox

CREATE TABLE mtabounce.api_tokens (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    username    text NOT NULL,
    token_hash  bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
    scopes      text[] NOT NULL CHECK (scopes <@ ARRAY['read', 'ingest', 'admin']),
    created_at  timestamptz NOT NULL DEFAULT now(),
    revoked_at  timestamptz
);
COMMENT ON TABLE mtabounce.api_tokens IS 'Who may use the HTTP API. The tokens themselves are nowhere.';
COMMENT ON COLUMN mtabounce.api_tokens.id IS 'Number of the token.';
COMMENT ON COLUMN mtabounce.api_tokens.username IS 'The name that is given together with the token.';
COMMENT ON COLUMN mtabounce.api_tokens.token_hash IS 'SHA-256 of the token, which is 32 random octets.';
COMMENT ON COLUMN mtabounce.api_tokens.scopes IS 'What it may: read, ingest (post bounces), admin (everything).';
COMMENT ON COLUMN mtabounce.api_tokens.created_at IS 'When it was made.';
COMMENT ON COLUMN mtabounce.api_tokens.revoked_at IS 'When it was revoked; NULL: it is good.';

CREATE FUNCTION mtabounce.stable_uuid(word text) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT CASE WHEN $1 ~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$'
                THEN $1::uuid ELSE md5($1)::uuid END
$$;
COMMENT ON FUNCTION mtabounce.stable_uuid(text) IS 'The UUID that a word is, or else one that is always the same for it.';
CREATE INDEX recipients_stable_uuid ON mtabounce.recipients (mtabounce.stable_uuid(recipient));
CREATE INDEX bounces_subscriber ON mtabounce.bounces ((meta->>'subscriber')) WHERE meta ? 'subscriber';

CREATE SCHEMA listmonk;
COMMENT ON SCHEMA listmonk IS 'The tables of listmonk that its documents query, as views. Use with search_path = listmonk.';

CREATE VIEW listmonk.subscribers AS
SELECT r.id,
       coalesce((SELECT mtabounce.stable_uuid(b.meta->>'subscriber')
                   FROM mtabounce.bounces AS b
                  WHERE b.recipient_id = r.id AND b.meta ? 'subscriber'
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
COMMENT ON VIEW listmonk.subscribers IS 'Addresses that something is known of.';
COMMENT ON COLUMN listmonk.subscribers.id IS 'recipients.id.';
COMMENT ON COLUMN listmonk.subscribers.uuid IS 'The UUID that a bounce named, or else one made of the address.';
COMMENT ON COLUMN listmonk.subscribers.email IS 'The address.';
COMMENT ON COLUMN listmonk.subscribers.name IS 'Not known: empty.';
COMMENT ON COLUMN listmonk.subscribers.attribs IS 'Not known: empty.';
COMMENT ON COLUMN listmonk.subscribers.status IS 'blocklisted where the address is suppressed everywhere, else enabled.';
COMMENT ON COLUMN listmonk.subscribers.created_at IS 'When it was first heard of.';
COMMENT ON COLUMN listmonk.subscribers.updated_at IS 'When it last bounced.';

CREATE VIEW listmonk.campaigns AS
SELECT c.id,
       mtabounce.stable_uuid(c.campaign) AS uuid,
       c.campaign AS name,
       c.created_at
  FROM mtabounce.campaigns AS c;
COMMENT ON VIEW listmonk.campaigns IS 'Campaigns that a bounce named.';
COMMENT ON COLUMN listmonk.campaigns.id IS 'campaigns.id.';
COMMENT ON COLUMN listmonk.campaigns.uuid IS 'The UUID that it is named by, or one made of its name.';
COMMENT ON COLUMN listmonk.campaigns.name IS 'What the mails call it.';
COMMENT ON COLUMN listmonk.campaigns.created_at IS 'When it was first heard of.';

CREATE VIEW listmonk.bounces AS
SELECT b.id,
       b.recipient_id AS subscriber_id,
       b.campaign_id,
       b.type,
       coalesce(b.meta->>'source', b.sources[1], '') AS source,
       CASE WHEN b.meta ? 'meta' THEN (b.meta->>'meta')::jsonb ELSE b.meta END AS meta,
       b.first_seen_at AS created_at
  FROM mtabounce.bounces AS b;
COMMENT ON VIEW listmonk.bounces IS 'Bounces, as listmonk has them.';
COMMENT ON COLUMN listmonk.bounces.id IS 'bounces.id.';
COMMENT ON COLUMN listmonk.bounces.subscriber_id IS 'listmonk.subscribers.id.';
COMMENT ON COLUMN listmonk.bounces.campaign_id IS 'listmonk.campaigns.id; NULL: not known.';
COMMENT ON COLUMN listmonk.bounces.type IS 'hard, soft or complaint.';
COMMENT ON COLUMN listmonk.bounces.source IS 'What the poster calls itself, or where it came from.';
COMMENT ON COLUMN listmonk.bounces.meta IS 'What the poster attached, or what the report held.';
COMMENT ON COLUMN listmonk.bounces.created_at IS 'When it happened.';
