-- A scope for programs that send mail: they get return paths, and nothing else.
-- depends: 0010_api

ALTER TABLE mtabounce.api_tokens
    DROP CONSTRAINT api_tokens_scopes_check,
    ADD CONSTRAINT api_tokens_scopes_check CHECK (scopes <@ ARRAY['read', 'ingest', 'sign', 'admin']);
COMMENT ON COLUMN mtabounce.api_tokens.scopes IS 'What it may: read, ingest (post bounces), sign (get return paths), admin (everything).';
