-- Addresses that were erased stay suppressed by a keyed hash.
-- depends: 0029_retention

CREATE TABLE mtabounce.erasure_key (
    single    boolean PRIMARY KEY DEFAULT true CHECK (single),
    seed      bigint NOT NULL,
    inner_pad bytea NOT NULL CHECK (octet_length(inner_pad) = 64),
    outer_pad bytea NOT NULL CHECK (octet_length(outer_pad) = 64)
);
REVOKE ALL ON mtabounce.erasure_key FROM PUBLIC;
COMMENT ON TABLE mtabounce.erasure_key IS 'The key of the hashes in erased. It is in the database, as SQL and mail servers have to ask it; a dump without it (pg_dump --exclude-table-data=mtabounce.erasure_key) holds hashes that nobody can test guesses against. Without it they suppress nobody.';
COMMENT ON COLUMN mtabounce.erasure_key.single IS 'There is one key.';
COMMENT ON COLUMN mtabounce.erasure_key.seed IS 'What erased.bucket is seeded with.';
COMMENT ON COLUMN mtabounce.erasure_key.inner_pad IS 'Secret: the key, for the inner digest of HMAC (RFC 2104).';
COMMENT ON COLUMN mtabounce.erasure_key.outer_pad IS 'Secret: the key, for the outer digest of HMAC.';

DO $$
DECLARE
    key   bytea := sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
    salt  bytea := sha256(uuid_send(gen_random_uuid()));
    inner_pad bytea := decode(repeat('36', 64), 'hex');
    outer_pad bytea := decode(repeat('5c', 64), 'hex');
BEGIN
    FOR place IN 0..31 LOOP
        inner_pad := set_byte(inner_pad, place, get_byte(inner_pad, place) # get_byte(key, place));
        outer_pad := set_byte(outer_pad, place, get_byte(outer_pad, place) # get_byte(key, place));
    END LOOP;
    INSERT INTO mtabounce.erasure_key (seed, inner_pad, outer_pad)
    VALUES (('x' || encode(substr(salt, 1, 8), 'hex'))::bit(64)::bigint, inner_pad, outer_pad);
END
$$;

CREATE TABLE mtabounce.erased (
    recipient text PRIMARY KEY,
    bucket    bigint NOT NULL,
    erased_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX erased_bucket ON mtabounce.erased (bucket);
COMMENT ON TABLE mtabounce.erased IS 'Addresses that were erased, by a keyed hash. Reports about them are not kept.';
COMMENT ON COLUMN mtabounce.erased.recipient IS 'HMAC-SHA256 of the address, at erased.invalid: what suppressions calls it.';
COMMENT ON COLUMN mtabounce.erased.bucket IS '32 bits of a quick seeded hash of it, so that only those that agree in it are hashed.';
COMMENT ON COLUMN mtabounce.erased.erased_at IS 'When it was erased.';

CREATE FUNCTION mtabounce.erased_name(recipient text) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT encode(sha256(k.outer_pad || sha256(k.inner_pad || convert_to($1, 'UTF8'))), 'hex') || '@erased.invalid'
      FROM mtabounce.erasure_key AS k
$$;
COMMENT ON FUNCTION mtabounce.erased_name(text) IS 'What an address, in lower case, is called once it is erased.';

CREATE FUNCTION mtabounce.erased_bucket(recipient text) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT hashtextextended($1, (SELECT seed FROM mtabounce.erasure_key)) & 4294967295
$$;
COMMENT ON FUNCTION mtabounce.erased_bucket(text) IS 'erased.bucket of an address in lower case.';

CREATE FUNCTION mtabounce.known_as(email text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    address text := lower(btrim(email));
    hashed  text;
BEGIN
    SELECT e.recipient INTO hashed
      FROM mtabounce.erased AS e
     WHERE e.bucket = mtabounce.erased_bucket(address)
       AND e.recipient = mtabounce.erased_name(address);
    RETURN coalesce(hashed, address);
END
$$;
COMMENT ON FUNCTION mtabounce.known_as(text) IS 'What suppressions calls an address: itself in lower case, or a hash where it was erased.';

CREATE OR REPLACE FUNCTION mtabounce.is_suppressed(email text, scope text DEFAULT 'all') RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (
        SELECT 1
          FROM mtabounce.suppressions AS s
         WHERE s.recipient = mtabounce.known_as($1)
           AND s.scope IN ('all', $2)
           AND (s.until IS NULL OR s.until > now())
    )
$$;

CREATE OR REPLACE FUNCTION mtabounce.check_recipients(emails text[], scope text DEFAULT 'all')
RETURNS TABLE (email text, type text, reason text, cause text, until timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT asked.email, s.type, s.reason, s.cause, s.until
      FROM unnest($1) AS asked (email)
      JOIN mtabounce.suppressions AS s ON s.recipient = lower(btrim(asked.email))
     WHERE s.scope IN ('all', $2)
       AND (s.until IS NULL OR s.until > now())
    UNION ALL
    SELECT asked.email, s.type, s.reason, s.cause, s.until
      FROM unnest($1) AS asked (email)
      JOIN mtabounce.erased AS e
        ON e.bucket = hashtextextended(lower(btrim(asked.email)), (SELECT seed FROM mtabounce.erasure_key)) & 4294967295
      JOIN mtabounce.suppressions AS s ON s.recipient = e.recipient
     WHERE e.recipient = mtabounce.erased_name(lower(btrim(asked.email)))
       AND s.scope IN ('all', $2)
       AND (s.until IS NULL OR s.until > now())
$$;

CREATE OR REPLACE FUNCTION mtabounce.refusal(email text) RETURNS SETOF text
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 AS $$
    SELECT 'recipient is suppressed by mtabounce: '
           || CASE WHEN s.type IS NULL THEN 'added by an operator' ELSE s.reason END
           || to_char(s.since AT TIME ZONE 'UTC', '" since "YYYY-MM-DD')
           || coalesce(to_char(s.until AT TIME ZONE 'UTC', '" until "YYYY-MM-DD'), '')
      FROM mtabounce.suppressions AS s
     WHERE s.recipient = mtabounce.known_as($1)
       AND s.scope = 'all'
       AND (s.until IS NULL OR s.until > now())
$$;

COMMENT ON VIEW mtabounce.active_suppressions IS 'Suppressions that hold now: join it to the addresses that you are about to mail, by known_as(address), as erased addresses are in it by their hash; or, quicker, ask check_recipients().';
COMMENT ON COLUMN mtabounce.suppressions.recipient IS 'The address, as recipients.recipient; known_as() of it where it was erased.';
