-- Lists are asked for in whatever case their List-Id is written (RFC 2919 §6).
-- depends: 0085_idna

CREATE FUNCTION mtabounce.scope_key(scope text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN starts_with($1, 'list:') THEN lower($1) ELSE $1 END
$$;
COMMENT ON FUNCTION mtabounce.scope_key(text) IS 'How a scope is stored: a List-Id in lower case.';

CREATE OR REPLACE FUNCTION mtabounce.is_suppressed(email text, scope text DEFAULT 'all') RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (
        SELECT 1
          FROM mtabounce.suppressions AS s
         WHERE s.recipient = mtabounce.known_as($1)
           AND s.scope IN ('all', mtabounce.scope_key($2))
           AND (s.until IS NULL OR s.until > now())
    )
$$;

CREATE OR REPLACE FUNCTION mtabounce.check_recipients(emails text[], scope text DEFAULT 'all')
RETURNS TABLE (email text, type text, reason text, cause text, until timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT asked.email, s.type, s.reason, s.cause, s.until
      FROM (SELECT written.email,
                   CASE WHEN hashtextextended(written.address, (SELECT k.seed FROM mtabounce.erasure_key AS k)) & 4294967295
                             IN (SELECT e.bucket FROM mtabounce.erased AS e)
                        THEN mtabounce.known_as(written.address)
                        ELSE written.address END AS address
              FROM (SELECT given.email, mtabounce.address_key(given.email) AS address
                      FROM (SELECT unnest($1) AS email) AS given  -- in FROM, a million would go through a file
                    OFFSET 0) AS written  -- so that each is made once
            OFFSET 0) AS asked
      JOIN mtabounce.suppressions AS s ON s.recipient = asked.address
     WHERE s.scope IN ('all', mtabounce.scope_key($2))
       AND (s.until IS NULL OR s.until > now())
$$;
